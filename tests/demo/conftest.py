"""A served page, visitors with a browser, and visitors with a script."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from PIL import Image

from demo.app import page
from demo.components.four_ways import SMALL
from demo.context import Context
from demo.examples import content_files, style_files
from demo.jobs import Jobs
from demo.languages import LANGUAGES, names
from demo.settings import Settings
from demo.theme import LOOK
from toolkit.network import find_network, load_network
from toolkit.synthesis import Synthesis

ROOT = Path(__file__).resolve().parents[2]
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


@pytest.fixture(scope="session", autouse=True)
def own_files(tmp_path_factory):
    """A folder for visitors' files: a page that closes deletes its own, which may be another's too."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("files")))
        yield


@pytest.fixture(scope="session")
def context():
    """The small network, one slot, small limits."""
    file = find_network("vgg19-small")
    return Context(
        {"vgg19-small": load_network("vgg19-small")},
        Jobs(["cpu"], 120),
        Settings(max_size=512, max_iterations=1000, max_seconds=120),
        content_files(),
        style_files(),
        files={"vgg19-small": [file]},
    )


@pytest.fixture(scope="session")
def address(context):
    blocks = page(context)
    _, url, _ = blocks.queue(max_size=40).launch(
        server_name="127.0.0.1",
        server_port=None,
        prevent_thread_lock=True,
        quiet=True,
        max_file_size="2mb",
        app_kwargs={"routes": [LANGUAGES]},
        i18n=names(blocks),
        **LOOK,
    )
    yield url
    blocks.close()


@pytest.fixture(scope="session")
def settle():
    """Waits for Gradio, which sets what it has just shown once more a frame later."""
    frames = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"
    return lambda page: page.evaluate(frames)


@pytest.fixture(scope="session")
def open_tab(settle):
    """Opens the tab of that name."""

    def open_it(page, name):
        chosen = page.get_by_role("tab", name=name, exact=True)
        if not chosen.is_visible():  # a narrow page folds its tabs
            page.locator(".overflow-menu > button").first.click()
            chosen = page.locator(".overflow-dropdown").first.get_by_text(name, exact=True)
        chosen.click()
        settle(page)

    return open_it


@pytest.fixture(scope="session")
def unfold():
    """Opens what is folded in the open tab."""
    script = """() => [...document.querySelectorAll(".label-wrap:not(.open)")]
      .filter((each) => each.checkVisibility()).forEach((each) => each.click())"""
    return lambda page: page.evaluate(script)


@pytest.fixture
def visit(browser, address, settle, open_tab):
    """Opens the page as a new visitor, at a tab; perhaps with another table of the visitor's language."""
    contexts = []

    def open_page(tab="Transfer", width=1280, table=None, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 1000}, **options))
        contexts[-1].set_default_timeout(120_000)
        if table:
            contexts[-1].route("**/languages/*.json", lambda route: route.fulfill(json=table))
        opened = contexts[-1].new_page()
        opened.goto(address)
        opened.wait_for_selector("#paint")
        settle(opened)
        if tab != "Transfer":
            open_tab(opened, tab)
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def unhurried(monkeypatch):
    """Has jobs rest after every iteration, so that they last until the test has looked at them."""
    iterate = Synthesis.__iter__

    def with_rests(synthesis):
        for progress in iterate(synthesis):
            yield progress
            time.sleep(0.1)

    monkeypatch.setattr(Synthesis, "__iter__", with_rests)


@pytest.fixture
def smaller_ways(monkeypatch):
    """Makes four ways in a few iterations."""
    for name, number in {"size": 64, "iterations": 10}.items():
        monkeypatch.setitem(SMALL, name, number)


@pytest.fixture
def client(address):
    from gradio_client import Client

    return Client(address, verbose=False)


@pytest.fixture
def pictures(tmp_path):
    """A content and a style, as files."""
    paths = []
    for name, colour in (("content", (200, 120, 40)), ("style", (20, 60, 180))):
        picture = Image.effect_noise((80, 64), 90).convert("RGB")
        Image.blend(picture, Image.new("RGB", picture.size, colour), 0.5).save(tmp_path / f"{name}.png")
        paths.append(str(tmp_path / f"{name}.png"))
    return paths


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _is_healthy(visitor, address):
    try:
        return visitor.get(f"{address}health").is_success
    except httpx.TransportError:
        return False


@contextmanager
def _served(*arguments, python=sys.executable, command=("-m", "demo"), **environment):
    """A page of its own process: its address, and the lines that it has written."""
    port = environment.get("GRADIO_SERVER_PORT") or str(_free_port())
    if "GRADIO_SERVER_PORT" not in environment:
        arguments = (*arguments, "--port", port)
    process = subprocess.Popen(
        [python, *command, *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "DEMO_NETWORK": "vgg19-small",
            "DEMO_ON_DEVICE": "off",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    address = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 300
        with httpx.Client() as visitor:
            while not _is_healthy(visitor, address):
                assert process.poll() is None and time.monotonic() < deadline, lines
                time.sleep(0.1)
        yield address, lines
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def free_port():
    return _free_port


@pytest.fixture(scope="session")
def is_healthy():
    return _is_healthy


@pytest.fixture(scope="session")
def serve():
    return _served
