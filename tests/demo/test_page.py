"""The page in a real browser, and through its API."""

import io
import json
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
from PIL import Image

from demo.app import main, page
from demo.jobs import Jobs
from toolkit.pictures import read_recipe

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


@pytest.fixture(scope="module")
def address(tiny_network):
    """A served page with a tiny random network."""
    blocks = page(tiny_network(), "cpu")
    _, url, _ = blocks.launch(server_name="127.0.0.1", server_port=None, prevent_thread_lock=True, quiet=True)
    yield url
    blocks.close()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium: install it with the system's package manager")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page as a new visitor."""
    contexts = []

    def open_page():
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 1000}))
        tab = contexts[-1].new_page()
        tab.goto(address)
        tab.wait_for_selector("#paint")
        return tab

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for name, colour in (("content", (200, 120, 40)), ("style", (20, 60, 180))):
        picture = Image.effect_noise((80, 64), 90).convert("RGB")
        Image.blend(picture, Image.new("RGB", picture.size, colour), 0.5).save(tmp_path / f"{name}.png")
        paths.append(str(tmp_path / f"{name}.png"))
    return paths


def upload(tab, pictures):
    for role, path in zip(("content", "style"), pictures, strict=True):
        tab.set_input_files(f"#{role} input[type=file]", path)
        tab.wait_for_selector(f"#{role} img")


def wait_for_status(tab, words):
    tab.wait_for_function(
        "words => document.querySelector('#status').innerText.includes(words)", arg=words, timeout=60_000
    )


def set_length(tab, evaluations):
    field = tab.get_by_label("number input for Length")
    field.fill(str(evaluations))
    field.press("Enter")


def test_a_visitor_uploads_watches_stops_and_downloads(visit, pictures, tmp_path):
    tab = visit()
    upload(tab, pictures)
    set_length(tab, 1000)
    tab.click("#paint")
    wait_for_status(tab, "Evaluation ")
    first = tab.locator("#result img").get_attribute("src")
    tab.wait_for_function("src => document.querySelector('#result img').src !== src", arg=first, timeout=60_000)
    assert tab.locator("#curve svg, #curve canvas").count() > 0
    tab.click("#stop")
    wait_for_status(tab, "Stopped after ")
    with tab.expect_download() as download:
        tab.click("#download")
    download.value.save_as(tmp_path / "result.png")
    recipe = json.loads(read_recipe(tmp_path / "result.png"))
    assert (recipe["synthesis"], recipe["size"], recipe["evaluations"]) == ("transfer", 384, 1000)
    assert Image.open(tmp_path / "result.png").size == (384, 307)
    assert tab.locator("#paint").is_enabled()


def test_a_missing_picture_is_told_in_a_sentence(visit):
    tab = visit()
    tab.click("#paint")
    wait_for_status(tab, "There is no content picture yet: choose one, or an example.")
    assert tab.locator("#paint").is_enabled()


def test_an_example_fills_its_place(visit):
    tab = visit()
    tab.locator(".gallery-item, .gallery button").first.click()
    tab.wait_for_selector("#content img[src]")


def test_the_page_fits_a_phone(browser, address):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    tab = context.new_page()
    tab.goto(address)
    tab.wait_for_selector("#paint")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def client(address):
    from gradio_client import Client

    return Client(address, verbose=False)


def test_a_script_gets_the_picture_too(address, pictures):
    from gradio_client import handle_file

    content, style = (handle_file(path) for path in pictures)
    result = client(address).predict(content, style, "Balanced", 128, 20, api_name="/transfer")
    recipe = json.loads(read_recipe(result[0]))
    assert (recipe["size"], recipe["evaluations"], recipe["style_weight"]) == (128, 20, 100.0)


@pytest.mark.parametrize("kind", ["text", "cut", "empty"])
def test_files_that_are_no_pictures_are_refused_without_a_path(address, pictures, tmp_path, kind):
    from gradio_client import handle_file

    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(buffer, "PNG")
    contents = {"text": b"hello", "cut": buffer.getvalue()[:900], "empty": b""}[kind]
    bad = tmp_path / "bad.png"
    bad.write_bytes(contents)
    with pytest.raises(Exception) as error:
        client(address).predict(handle_file(bad), handle_file(pictures[1]), "Balanced", 128, 20, api_name="/transfer")
    assert "Traceback" not in str(error.value) and not re.search(r"(/tmp|/home|\\\\)", str(error.value))


def test_stopping_one_session_leaves_the_others_alone():
    jobs = Jobs()
    with jobs.under_way("a") as a, jobs.under_way("b") as b:
        jobs.stop("a")
        jobs.stop("nobody")
        assert a.is_set() and not b.is_set()
    jobs.stop("a")


def test_a_session_that_starts_again_has_a_fresh_flag():
    jobs = Jobs()
    with jobs.under_way("a"):
        jobs.stop("a")
    with jobs.under_way("a") as again:
        assert not again.is_set()
        threading.Thread(target=jobs.stop, args=("a",)).start()
        assert again.wait(5)


def test_without_its_network_the_page_says_what_to_do(capsys, tmp_path: Path):
    assert main(["--network", str(tmp_path / "none.safetensors")]) == 2
    assert capsys.readouterr().err.startswith("error: There is no network file ")
