"""The page that paints on the visitor's own device, served beside the Gradio page."""

import json

import httpx
import pytest

from demo.app import main
from demo.settings import read_settings
from toolkit.export.site import ISOLATION
from toolkit.synthesis import Result

#: What both pages have, by id.
SHARED = ("paint", "stop", "continue", "larger", "strength")

#: Of what is to be pressed.
COLOUR = "getComputedStyle(document.querySelector('#paint')).backgroundColor"


def paint(page, path):
    """Paints a little, and saves it."""
    for name in ("size", "iterations"):
        value = {"size": "64", "iterations": "5"}[name]
        page.eval_on_selector(f"#{name}", "(f, v) => { f.value = v; f.dispatchEvent(new Event('input')); }", value)
    page.click("#paint")
    page.wait_for_function("() => /^Done after 5/.test(document.querySelector('#status').innerText)", timeout=120_000)
    return save(page, "#download", path)


def save(page, button, path):
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return Result.read(path)


def test_a_picture_goes_from_the_device_to_the_server_and_back(serve, browser, runtime, tmp_path):
    with serve("--runtime", str(runtime), DEMO_ON_DEVICE="default") as (address, _):
        context = browser.new_context()
        context.set_default_timeout(120_000)
        context.route(lambda url: not url.startswith((address, "blob:", "data:")), lambda route: route.abort())
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("main:not([hidden])")
        assert page.url == f"{address}on-device/" and page.evaluate("crossOriginIsolated")
        words = {name: set(page.inner_text(f"#{name}").split("\n")) for name in SHARED}
        colour = page.evaluate(COLOUR)
        painted = paint(page, tmp_path / "device.png")
        page.get_by_text("Paint on the server instead").click()
        page.wait_for_selector("#paint")
        assert page.url == f"{address}?here" and not page.evaluate("crossOriginIsolated")
        for name, ours in words.items():
            assert ours <= set(page.inner_text(f"#{name}").split("\n"))
        assert page.evaluate(COLOUR) == colour
        page.get_by_text("Share and restore").click()
        page.set_input_files("#recipe input[type=file]", tmp_path / "device.png")
        page.wait_for_function("() => document.querySelector('#transfer-status')?.innerText.includes('this image')")
        page.wait_for_function("() => !document.querySelector('#paint').disabled")
        page.click("#paint")
        page.wait_for_function("() => document.querySelector('#transfer-status')?.innerText.includes('Done after 5')")
        page.wait_for_function("() => !document.querySelector('#transfer-download').disabled")
        made = save(page, "#transfer-download", tmp_path / "server.png")
        same = {"size", "iterations", "style_weight", "start", "seed", "style_layers"}
        assert made.recipe.model_dump(include=same) == painted.recipe.model_dump(include=same)
        assert made.made_from.network == painted.made_from.network
        assert made.made_from.styles == painted.made_from.styles
        with context.expect_page() as opened:
            page.get_by_role("link", name="paint on your own device").click()
        page = opened.value
        page.wait_for_selector("main:not([hidden])")
        page.set_input_files("#recipe", tmp_path / "server.png")
        page.wait_for_function("() => document.querySelector('#status').innerText.includes('recipe')")
        assert page.inner_text("#status").endswith("Refine further goes on from it.")  # nothing in it is unknown here
        assert page.input_value("#size") == "64"
        context.close()


def test_behind_a_proxy_all_addresses_begin_with_its_path_and_headers_are_on_its_own_routes_alone(serve):
    with serve("--root-path", "/paint", DEMO_ON_DEVICE="offered") as (address, _):
        for path in ("on-device/", "on-device/site.json", "on-device/networks/vgg19-small.onnx"):
            answer = httpx.get(f"{address}{path}", timeout=60)
            assert answer.status_code == 200 and answer.headers["content-encoding"] == "gzip"
            assert {name: answer.headers[name] for name in ISOLATION} == ISOLATION
        config = httpx.get(f"{address}config", timeout=60)
        assert not {name.lower() for name in ISOLATION} & {*config.headers}
        assert "(/paint/on-device/)" in config.text
        assert config.json()["root"].endswith("/paint")
        assert "/paint/gradio_api/file=" in json.dumps(config.json()["components"])
        assert httpx.get(f"{address}on-device/site.json", timeout=60).json()["server"] == "../?here"


def test_what_is_no_choice_and_what_is_no_runtime_is_told_in_a_sentence(capsys, free_port, tmp_path):
    with pytest.raises(SystemExit):
        read_settings(["--on-device", "maybe"])
    assert "--on-device: invalid choice: 'maybe' (choose from 'default', 'offered', 'off')" in capsys.readouterr().err
    assert main(["--network", "vgg19-small", "--port", str(free_port()), "--runtime", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: There is no ort.wasm.bundle.min.mjs in ")
