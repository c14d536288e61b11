"""The repository is a Hugging Face Space as it is."""

import json
import re
import tomllib
from pathlib import Path

import gradio
import pytest
from packaging.requirements import Requirement

#: What Hugging Face's configuration reference lists.
HARDWARE = {"cpu-basic", "cpu-upgrade", "t4-small", "t4-medium", "l4x1", "a10g-small", "a10g-large", "a100-large"}

ROOT = Path(__file__).resolve().parent.parent


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
    _, matter, _ = (ROOT / "README.md").read_text().split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in matter.splitlines())
    assert fields["sdk"] == "gradio" and (ROOT / fields["app_file"]).is_file()
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["sdk_version"])
    assert fields["short_description"] and len(fields["short_description"]) <= 60  # of letters that a Space shows
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert json.loads(fields["python_version"]) >= project["requires-python"].removeprefix(">=")
    assert fields["tags"].startswith("[") and fields["suggested_hardware"] in HARDWARE
    assert fields["sdk_version"].split(".")[0] == gradio.__version__.split(".")[0]
