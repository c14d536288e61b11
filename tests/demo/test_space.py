"""The repository is a Hugging Face Space as it is."""

import json
import os
import re
import sys
import tomllib
from pathlib import Path

import gradio
import httpx
import pytest
from gradio_client import Client, handle_file
from packaging.requirements import Requirement
from PIL import Image

#: What Hugging Face's configuration reference lists.
HARDWARE = {"cpu-basic", "cpu-upgrade", "t4-small", "t4-medium", "l4x1", "a10g-small", "a10g-large", "a100-large"}

#: What a Space's page finds in its environment; here it listens on this machine alone.
ENVIRONMENT = {"SYSTEM": "spaces", "SPACE_ID": "somebody/paint", "GRADIO_SERVER_NAME": "127.0.0.1"}

ROOT = Path(__file__).resolve().parents[2]


def front_matter():
    """What the README tells a Space."""
    _, matter, _ = (ROOT / "README.md").read_text().split("---\n", 2)
    return dict(line.split(": ", 1) for line in matter.splitlines())


def test_a_space_installs_what_the_package_depends_on():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == project["dependencies"]


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "onnxruntime-gpu"),
        ("linux", "aarch64", "onnxruntime"),
        ("win32", "AMD64", "onnxruntime-gpu"),
        ("win32", "ARM64", "onnxruntime"),
        ("darwin", "arm64", "onnxruntime"),
        ("darwin", "x86_64", "onnxruntime"),
    ],
)
def test_every_machine_gets_one_onnx_runtime_that_exists_for_it(system, machine, name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in project["dependencies"] if line.startswith("onnxruntime")]
    here = {"sys_platform": system, "platform_machine": machine}
    assert [each.name for each in wanted if each.marker.evaluate(here)] == [name]


def test_the_readme_tells_a_space_what_to_run():
    fields = front_matter()
    assert fields["sdk"] == "gradio" and (ROOT / fields["app_file"]).is_file()
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["sdk_version"])
    assert fields["short_description"] and len(fields["short_description"]) <= 60  # of letters that a Space shows
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert json.loads(fields["python_version"]) >= project["requires-python"].removeprefix(">=")
    assert fields["tags"].startswith("[") and fields["suggested_hardware"] in HARDWARE
    assert fields["sdk_version"].split(".")[0] == gradio.__version__.split(".")[0]


def test_started_by_its_own_command_a_space_paints_and_stays_healthy(serve, free_port, pictures):
    """On the Python that runs the tests, where more is installed than requirements.txt asks for.

    SPACE_PYTHON names another: that of an environment with the README's python_version and requirements.txt alone.
    """
    defaults = {"DEMO_NETWORK": "", "DEMO_ON_DEVICE": "", "GRADIO_SERVER_PORT": str(free_port())}
    python = os.environ.get("SPACE_PYTHON", sys.executable)
    with serve(command=(front_matter()["app_file"],), python=python, **ENVIRONMENT, **defaults) as (address, lines):
        content, style = map(handle_file, pictures)
        client = Client(address, verbose=False)
        saved = client.predict(content=content, style=style, size=64, iterations=10, api_name="/transfer")[0]
        assert Image.open(saved).size == (64, 51), lines
        assert httpx.get(f"{address}health", timeout=60).json()["status"] == "ok", lines
