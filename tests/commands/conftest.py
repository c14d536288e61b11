"""A desk with pictures and networks, for commands to work on."""

import numpy as np
import pytest
from PIL import Image

from toolkit.cli import main
from toolkit.network import save_network


@pytest.fixture
def desk(tmp_path, monkeypatch, tiny_network):
    """A working folder with pictures and a plain network."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, tiny_network())
    return tmp_path


@pytest.fixture
def network(desk, capsys):
    """A normalised network."""
    assert main(["normalize", "plain.safetensors", "images", "-o", "tiny.safetensors", "--prepare", "native"]) == 0
    capsys.readouterr()
    return "tiny.safetensors"


@pytest.fixture(scope="module")
def wrong_desk(tmp_path_factory, tiny_network):
    """A folder with much that can be done wrong; nothing that goes wrong writes into it."""
    desk = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(desk)
        lay_out(desk, tiny_network())
        for name in ("bare", "folder.png"):
            (desk / name).mkdir()
        (desk / "file").write_text("no folder")
        Image.new("RGB", (200, 8)).save(desk / "thin.png")
        assert main(["normalize", "plain.safetensors", "images", "-o", "tiny.safetensors", "--prepare", "native"]) == 0
        small = ["--network", "tiny.safetensors", "--size", "32", "--iterations", "1"]
        assert main(["texture", "painting.png", *small, "-o", "texture.png"]) == 0
    return desk


def lay_out(folder, network):
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for name in ("photo.jpg", "painting.png", "images/a.jpg", "images/b.png", "images/c.png"):
        Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8)).save(folder / name)
    (folder / "images" / "broken.jpg").write_text("no picture")
    save_network(network, folder / "plain.safetensors")
