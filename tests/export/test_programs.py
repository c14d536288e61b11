"""Programs in other languages paint with step.onnx, and their losses are the toolkit's."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import toolkit
from toolkit.export import export_step
from toolkit.pictures.io import to_picture
from toolkit.synthesis import Inputs, Objective, Recipe
from toolkit.synthesis.style import STATISTICS

EXAMPLES = Path(toolkit.__file__).parent / "examples"

#: ONNX Runtime for Node, fetched by npm once and kept in the user's cache.
PACKAGE = "onnxruntime-node@1.22.0"


@pytest.fixture(scope="session")
def node_folder():
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs Node and npm")
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "normalized-vgg" / PACKAGE
    if not (folder / "ready").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--ignore-scripts", "--silent", "--no-audit", "--no-fund", PACKAGE]
        try:
            subprocess.run([*command, "--prefix", str(folder)], check=True, capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"needs {PACKAGE}, which npm could not fetch: {error}")
        (folder / "ready").touch()
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The program in C++, with the library that comes with ONNX Runtime for Python; CPATH may name other headers."""
    library = next(iter((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")), None)
    if shutil.which("g++") is None or library is None:
        pytest.skip("needs g++ and ONNX Runtime's library")
    command = ["g++", "-std=c++17", "-I/usr/include/onnxruntime"]
    asked = subprocess.run(
        [*command, "-E", "-x", "c++", "-"], input=b"#include <onnxruntime_cxx_api.h>", capture_output=True
    )
    if asked.returncode:
        pytest.skip("needs ONNX Runtime's C++ headers, Debian's libonnxruntime-dev")
    program = tmp_path_factory.mktemp("built") / "paint"
    named = program.with_name("libonnxruntime.so.1")  # as the library calls itself
    named.symlink_to(library)
    linked = [str(named), f"-Wl,-rpath,{named.parent}", "-Wall", "-Wextra", "-Werror", "-o", str(program)]
    subprocess.run([*command, str(EXAMPLES / "paint.cpp"), *linked], check=True, timeout=300)
    return program


@pytest.fixture(params=["paint.mjs", "paint.cpp"])
def program(request, tmp_path):
    """How to start it in a folder."""
    if request.param == "paint.cpp":
        return [str(request.getfixturevalue("built"))]
    (tmp_path / "node_modules").symlink_to(request.getfixturevalue("node_folder") / "node_modules")
    shutil.copy(EXAMPLES / request.param, tmp_path)
    return ["node", request.param]


def as_floats(path):
    return torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("statistic", ["gram", "moments"])
def test_programs_paint(program, tiny_network, random_image, tmp_path, statistic):
    network, layers = tiny_network(), ["relu1_1", "relu2_1"]
    export_step(network, ["relu3_1"], layers, tmp_path / "step.onnx", statistic=statistic)
    to_picture(random_image(45, 53, seed=1)).save(tmp_path / "photo.ppm")
    to_picture(random_image(40, 61, seed=2).square()).save(tmp_path / "painting.ppm")
    command = [*program, "step.onnx", "photo.ppm", "painting.ppm", "output.ppm", "12", "100"]
    told = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120).stdout
    losses = [float(line.split()[1]) for line in told.splitlines()]
    recipe = Recipe.preset(
        "transfer",
        content_layers="relu3_1",
        style_layers=",".join(layers),
        style_weight=100 / STATISTICS[statistic].scale,  # which the step leaves to the weight
        style_statistic=statistic,
        total_variation_weight=0,
    )
    photo, painting, output = (as_floats(tmp_path / f"{name}.ppm") for name in ("photo", "painting", "output"))
    objective = Objective(network, recipe, Inputs(photo, [painting]))
    found = [float(objective(image).objective) for image in (photo, output)]
    assert len(losses) == 12 and [losses[0], losses[-1]] == pytest.approx(found, rel=0.02)
    assert losses[-1] < 0.2 * losses[0]


def test_programs_tell_what_they_cannot_use(program, tiny_network, random_image, tmp_path):
    export_step(tiny_network(), ["relu3_1"], ["relu1_1"], tmp_path / "step.onnx")
    picture = to_picture(random_image(24, 24))
    picture.save(tmp_path / "photo.ppm")
    picture.save(tmp_path / "photo.png")

    def told(*arguments):
        done = subprocess.run([*program, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode != 0
        return done.stderr

    assert "usage: " in told("step.onnx", "photo.ppm")
    assert "photo.png is no PPM" in told("step.onnx", "photo.png", "photo.ppm", "output.ppm")
    assert "nowhere/" in told("step.onnx", "photo.ppm", "photo.ppm", "nowhere/output.ppm", "1")
