"""The static site, served as hosts do, and visitors whose browsers may ask for nothing else."""

import functools
import http.server
import json
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from toolkit.export.site import ISOLATION, write_site
from toolkit.network import load_network

DEMO = Path(__file__).resolve().parents[2] / "demo"


@pytest.fixture(scope="session")
def make_site(tiny_network, tmp_path_factory):
    """Writes a site with a network of a few filters, and the small one."""

    def make(**options):
        folder = tmp_path_factory.mktemp("site")
        networks = {"tiny": tiny_network(), "vgg19-small": load_network("vgg19-small")}
        options = {"check": False, **options}  # tests/export checks
        write_site(folder, DEMO / "browser", sorted((DEMO / "examples").glob("*.jpg"))[:2], networks, **options)
        return folder

    return make


@pytest.fixture(scope="session")
def site(make_site, runtime):
    return make_site(runtime=runtime)


@contextmanager
def _served(folder, headers=ISOLATION):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self):
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def serve_folder():
    return _served


@pytest.fixture(scope="session")
def address(site):
    with _served(site) as address:
        yield address


@pytest.fixture(scope="session")
def gpu_browser(launch):
    """A browser with WebGPU on the processor."""
    opened = launch("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
    yield opened
    opened.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page as a new visitor. A request to anywhere else fails, and so does the test."""
    contexts, elsewhere = [], []

    def open_page(at="", *, to=address, by=browser, others=(), table=None, **options):
        # Requests of a service worker's could not be told from here.
        usual = {"viewport": {"width": 1200, "height": 900}, "service_workers": "block"}
        context = by.new_context(**{**usual, **options})
        contexts.append(context)
        context.set_default_timeout(120_000)

        def outside(route):
            elsewhere.append(route.request.url)
            route.abort()

        context.route(lambda url: not url.startswith((to, *others, "blob:", "data:")), outside)
        if table:  # of the visitor's language
            context.route("**/languages/*.json", lambda route: route.fulfill(json=table))
        page = context.new_page()
        page.goto(to + at)
        page.wait_for_selector("main:not([hidden])")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not elsewhere


@pytest.fixture(scope="session")
def modules(browser, address):
    """Calls a function of one of the page's modules: module, JavaScript that has it as ``m``, and an argument."""
    page = browser.new_page()
    page.goto(f"{address}style.css")

    def call(module, script, argument=None):
        return page.evaluate(f"async a => {{ const m = await import('/{module}'); return ({script})(a); }}", argument)

    return call


@pytest.fixture
def picture(tmp_path):
    """Draws noise in a colour, as a file."""

    def draw(name="photo.png", size=(64, 48), colour=(200, 120, 40)):
        noise = Image.effect_noise(size, 90).convert("RGB")
        path = tmp_path / name
        Image.blend(noise, Image.new("RGB", size, colour), 0.5).save(path)
        return path

    return draw


@pytest.fixture(scope="session")
def facts(site):
    return json.loads((site / "site.json").read_text())
