"""A desk with pictures and networks, for commands to work on."""

import shutil

import numpy as np
import pytest
from PIL import Image

from toolkit.cli import main
from toolkit.network import save_network


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory, tiny_network):
    """A folder with pictures, a plain network and a normalised one, made once and copied."""
    folder = tmp_path_factory.mktemp("laid-out")
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for name in ("photo.jpg", "painting.png", "images/a.jpg", "images/b.png", "images/c.png"):
        Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8)).save(folder / name)
    (folder / "images" / "broken.jpg").write_text("no picture")
    save_network(tiny_network(), folder / "plain.safetensors")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert main(["normalize", "plain.safetensors", "images", "-o", "tiny.safetensors", "--prepare", "native"]) == 0
    return folder


@pytest.fixture
def desk(tmp_path, monkeypatch, laid_out):
    """A working folder with pictures and a plain network."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(laid_out, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tiny.safetensors"))
    return tmp_path


@pytest.fixture
def network(desk, laid_out):
    """A normalised network."""
    shutil.copy(laid_out / "tiny.safetensors", desk)
    return "tiny.safetensors"


@pytest.fixture(scope="module")
def wrong_desk(tmp_path_factory, laid_out):
    """A folder with much that can be done wrong; nothing that goes wrong writes into it."""
    desk = shutil.copytree(laid_out, tmp_path_factory.mktemp("desk"), dirs_exist_ok=True)
    for name in ("bare", "folder.png"):
        (desk / name).mkdir()
    (desk / "file").write_text("no folder")
    Image.new("RGB", (200, 8)).save(desk / "thin.png")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(desk)
        small = ["--network", "tiny.safetensors", "--size", "32", "--iterations", "1"]
        assert main(["texture", "painting.png", *small, "-o", "texture.png"]) == 0
    return desk
