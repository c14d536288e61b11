"""How the page is hosted."""

import asyncio
import base64
import importlib
import io
import json
import os
import re
import socket
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import gradio as gr
import httpx
import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image

from demo import lent_gpu
from demo.app import files_of, main
from demo.devices import slots
from demo.hosting import FOLDER, folder_for_files, pass_proxies_by
from demo.settings import read_settings
from toolkit.network import Architecture, find_network
from toolkit.pictures.clips import Frame, save_clip


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for variable in os.environ:
        if variable.startswith(("DEMO_", "GRADIO_SERVER_", "GRADIO_ROOT")):
            monkeypatch.delenv(variable)
    for variable in ("GRADIO_TEMP_DIR", "NO_PROXY", "no_proxy"):  # what a host sets is undone
        monkeypatch.setenv(variable, os.environ.get(variable, ""))


def test_a_wish_is_an_option_an_environment_variable_or_the_default(monkeypatch):
    assert read_settings([]).max_size == 1024
    monkeypatch.setenv("DEMO_MAX_SIZE", "256")
    assert read_settings([]).max_size == 256
    assert read_settings(["--max-size", "128"]).max_size == 128


def test_every_option_has_its_environment_variable(monkeypatch):
    wished = {
        "NETWORK": ("a, b", ("a", "b")),
        "DEVICE": ("cuda:0,cuda:1", ("cuda:0", "cuda:1")),
        "JOBS": ("2", 2),
        "MAX_ITERATIONS": ("50", 50),
        "MAX_SECONDS": ("9", 9),
        "MAX_QUEUE": ("3", 3),
        "MAX_UPLOAD": ("1mb", "1mb"),
        "KEEP": ("60", 60),
        "ON_DEVICE": ("default", "default"),
        "RUNTIME": ("ort", "ort"),
        "ATLAS": ("a.atlas", "a.atlas"),
        "AUTH": ("me:a:b", ("me", "a:b")),
        "HOST": ("0.0.0.0", "0.0.0.0"),
        "PORT": ("99", 99),
        "ROOT_PATH": ("/paint", "/paint"),
        "SHARE": ("yes", True),
        "MONITORING": ("on", True),
        "MCP": ("1", True),
        "OPEN": ("True", True),
    }
    for name, (text, _) in wished.items():
        monkeypatch.setenv(f"DEMO_{name}", text)
    chosen = read_settings([]).model_dump()
    assert {name: chosen[name.lower()] for name in wished} == {name: value for name, (_, value) in wished.items()}


@pytest.mark.parametrize("text", ["", "0", "no", "off", "False"])
def test_a_switch_that_is_not_on_is_off(monkeypatch, text):
    monkeypatch.setenv("DEMO_SHARE", text)
    assert read_settings([]).share is False


def test_host_and_port_give_way_to_those_of_gradio(monkeypatch):
    assert (read_settings([]).host, read_settings([]).port) == ("127.0.0.1", 7860)
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7000")
    assert (read_settings([]).host, read_settings([]).port) == ("0.0.0.0", 7000)
    assert read_settings(["--host", "::1", "--port", "7001"]).host == "::1"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--max-size", "large"],
            "--max-size must be a whole number, not 'large'.",
        ),
        (["--max-queue", "0"], "--max-queue must be at least 1, not '0'."),
        (["--jobs", "-1"], "--jobs must be at least 1, not '-1'."),
        (["--network", " , "], "--network: give at least one name."),
        (["--auth", "me"], "--auth: use the form NAME:PASSWORD."),
        (["--auth", "me:"], "--auth: use the form NAME:PASSWORD."),
        (["--port", "high"], "--port must be a whole number, not 'high'."),
        (["--port", "99999"], "--port must be at most 65535, not '99999'."),
        (["--max-upload", "much"], "--max-upload: 'much' is not a file size such as 20mb."),
        (["--root-path", "paint"], "--root-path: 'paint' must begin with a slash, such as /paint."),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(capsys, arguments, sentence):
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(sentence)


def test_a_wrong_variable_is_told_as_a_wrong_option(monkeypatch, capsys):
    monkeypatch.setenv("DEMO_KEEP", "long")
    with pytest.raises(SystemExit):
        read_settings([])
    assert "--keep must be a whole number, not 'long'" in capsys.readouterr().err


def test_a_network_that_is_not_there_is_told_in_one_sentence(capsys, free_port):
    assert main(["--network", "vgg99", "--port", str(free_port())]) == 2
    assert capsys.readouterr().err.startswith("error: There is no network ")


@pytest.fixture(scope="module")
def hosted(serve, free_port):
    """The page as Spaces run it, behind a login, with MCP, and with proxies in its environment that lead nowhere."""
    wishes = {"DEMO_AUTH": "me:secret", "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": str(free_port())}
    wishes |= {"DEMO_MCP": "on", "GRADIO_RUN_HISTORY": "True"}
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    with serve(command=("demo/app.py",), **wishes, **nowhere) as served:
        yield served


def test_run_as_spaces_do_behind_a_login_it_is_healthy_and_logs_json(hosted):
    address, lines = hosted
    health = httpx.get(f"{address}health", timeout=60).json()
    assert health.keys() == {"status", "running", "slots", "seconds"}
    assert (health["status"], health["running"], health["slots"]) == ("ok", 0, 1)
    assert httpx.get(f"{address}config", timeout=60).status_code == 401
    assert "open this page in a tab of its own" in httpx.get(address, timeout=60).text
    assert httpx.post(f"{address}gradio_api/queue/join", json={}, timeout=60).status_code in (401, 422)
    assert httpx.get(f"{address}gradio_api/info", timeout=60).status_code == 401
    client = httpx.Client(base_url=address, follow_redirects=True, timeout=60)
    client.post("login", data={"username": "me", "password": "secret"}).raise_for_status()
    assert [client.get(path).status_code for path in ("monitoring", "monitoring/summary")] == [403, 403]
    assert client.get("gradio_api/runs").status_code == 404 and client.get("config").json()["run_history"] is False
    # Pages that the tests serve have none that paints on the visitor's own device, unless they ask for it.
    assert client.get("on-device/").status_code == 404 and "on-device" not in client.get("config").text
    with pytest.raises(ValueError, match="Could not login"):
        Client(address, verbose=False, auth=("me", "wrong"))
    client = Client(address, verbose=False, auth=("me", "secret"))
    del lines[:]
    saved = client.predict(size=64, iterations=10, api_name="/transfer")[0]
    assert Image.open(saved).format == "PNG"
    deadline = time.monotonic() + 60
    while not (logged := [json.loads(line) for line in lines if line.startswith("{")]):
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)
    assert [entry["what"] for entry in logged] == ["transfer"]
    assert logged[0].keys() == {"job", "what", "device", "size", "iterations", "seconds", "ending"}


def test_a_visitor_is_told_that_a_clip_was_cut_short(hosted, tmp_path):
    path, rate = tmp_path / "clip.mp4", Fraction(10)
    noise = torch.randint(0, 256, (30, 1, 3, 64, 64), dtype=torch.uint8)
    save_clip(path, [Frame(number / rate, image) for number, image in enumerate(noise)], rate)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    client = Client(hosted[0], verbose=False, auth=("me", "secret"))
    _, status, _ = client.predict(clip=handle_file(path), seconds=3, size=64, iterations=1, api_name="/paint_clip")
    assert re.search(r" s\. The clip is damaged after \d\.\d seconds: what comes before is taken\.$", status), status


def test_an_assistant_logs_in_finds_the_tools_and_paints_whatever_proxy_there_is(hosted):
    pytest.importorskip("mcp", reason="needs gradio[mcp]")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    login = {"Authorization": f"Basic {base64.b64encode(b'me:secret').decode()}"}

    async def talk(address):
        async with (
            streamablehttp_client(f"{address}gradio_api/mcp/", headers=login) as (read, write, _),
            ClientSession(read, write) as assistant,
        ):
            await assistant.initialize()
            tools = (await assistant.list_tools()).tools
            painted = await assistant.call_tool("transfer", {"size": 64, "iterations": 10})
            refused = await assistant.call_tool("transfer", {"style_layers": "relu9_9"})
            described = await assistant.call_tool("describe", {})
            return {tool.name: tool for tool in tools}, painted, refused, described

    address, _ = hosted
    for headers in ({}, {"Authorization": "Basic bWU6d3Jvbmc="}):
        assert httpx.post(f"{address}gradio_api/mcp/", json={}, headers=headers, timeout=60).status_code == 401
    with ThreadPoolExecutor(1) as thread:  # this one has a loop of its own once a browser was opened
        tools, painted, refused, facts = thread.submit(asyncio.run, talk(address)).result()
    assert tools.keys() == {
        "transfer",
        "four_ways",
        "paint_clip",
        "reconstruct",
        "amalgamate",
        "study",
        "patches",
        "describe",
    }
    assert tools["transfer"].description.startswith("Paints the content image in the style of other images")
    described = tools["transfer"].inputSchema["properties"]
    assert described["iterations"]["description"].startswith("Steps of the optimiser")
    assert not painted.isError, painted.content
    image, named, status, files = painted.content
    assert Image.open(io.BytesIO(base64.b64decode(image.data))).size == (64, 43)
    assert "transfer.png" in named.text and status.text.startswith("Done after 10 iterations")
    assert "transfer.tif" in files.text
    assert sum(len(content.text) for content in facts.content) < 5000
    assert "relu1_1" in facts.content[0].text
    assert refused.isError and refused.content[0].text.startswith("Unknown layer 'relu9_9' of vgg19")


def test_a_gpu_is_lent_where_the_host_says_so_and_not_wherever_its_package_is():
    found = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "spaces", types.ModuleType("spaces"))
        for lends in ("", "true"):
            patched.setenv("SPACES_ZERO_GPU", lends)
            found[lends] = importlib.reload(lent_gpu).spaces
    importlib.reload(lent_gpu)
    assert found[""] is None and found["true"].__name__ == "spaces"


def test_where_spaces_lend_a_gpu_what_computes_is_wrapped(monkeypatch, context):
    lent = []

    class Spaces:
        @staticmethod
        def GPU(duration):  # noqa: N802
            return lambda function: lent.append((function.__name__, duration)) or function

    monkeypatch.setattr(lent_gpu, "spaces", Spaces)
    from demo.app import page

    blocks = page(context)
    jobs = {
        "transfer",
        "go_on",
        "suggest_them",
        "four_ways",
        "paint_clip",
        "reconstruct",
        "amalgamate",
        "study",
        "part_of_tour",
    }
    assert {name for name, _ in lent} == jobs
    seconds = dict(lent)
    small, large = {"size": 256, "iterations": 60}, {"size": 4096, "iterations": 1000}
    asked = [seconds["transfer"](None, **each, network="vgg19-small", style="a") for each in (small, large)]
    assert asked[0] < 30 and asked[1] == context.settings.max_seconds == 120
    assert seconds["amalgamate"](**small) == asked[0]
    assert (
        {seconds[name](**small) for name in ("reconstruct", "study", "paint_clip")} == {seconds["four_ways"]()} == {120}
    )
    buttons = [each for each in blocks.blocks.values() if isinstance(each, gr.Button) and each.value == "Stop"]
    assert len(buttons) == 11 and not any(each.visible for each in buttons)


def test_the_work_for_a_pixel_is_that_of_the_convolutions():
    # conv1_1 at every pixel, conv2_1 at a quarter of them.
    architecture = Architecture("vgg11", (2, 4), last="conv2_1")
    assert lent_gpu.multiplications(architecture) == 9 * (3 * 2 + 2 * 4 / 4)


def test_an_address_that_is_taken_is_told_in_one_sentence_before_anything_is_loaded(capsys, monkeypatch):
    monkeypatch.delattr("demo.app.load_normalized")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--network", "vgg19-small", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"error: Can't listen on 127.0.0.1:{port} (Address already in use): choose another --port or --host.\n"
    )


def test_each_host_that_is_reached_directly_is_named_once(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "example.org")
    pass_proxies_by("0.0.0.0")
    expected = "example.org,localhost,127.0.0.1,::1,0.0.0.0"
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == expected


@pytest.mark.parametrize(("names", "jobs"), [(["cpu"], 4), (["cpu", "cpu"], 2), (["cpu"] * 4, 1)])
def test_all_jobs_on_a_cpu_share_its_cores(monkeypatch, names, jobs):
    given = []
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    monkeypatch.setattr("torch.set_num_threads", given.append)
    assert slots(names, jobs) == ["cpu"] * 4 and given == [2]


def test_files_are_kept_in_a_folder_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(FOLDER, str(tmp_path / "files"))
    with folder_for_files():
        (folder,) = (tmp_path / "files").iterdir()
        assert os.environ[FOLDER] == str(folder) and folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path / "file" / "files"))
    assert main(["--network", "vgg19-small"]) == 2
    assert capsys.readouterr().err.endswith("set GRADIO_TEMP_DIR to a folder of yours.\n")


def test_two_networks_of_one_name_are_refused(capsys, free_port):
    both = f"vgg19-small,{find_network('vgg19-small')}"
    assert main(["--network", both, "--port", str(free_port())]) == 2
    assert capsys.readouterr().err == "error: Two networks are named vgg19-small: rename one of the files.\n"


def test_a_network_comes_with_its_own_exported_files_and_no_others(tmp_path):
    for name in ("a.safetensors", "a-step.onnx", "a-small.safetensors", "a-small-step.onnx"):
        (tmp_path / name).touch()
    assert [path.name for path in files_of(tmp_path / "a.safetensors")] == ["a.safetensors", "a-step.onnx"]
