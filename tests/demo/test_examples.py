"""The example pictures leave nothing behind, and what was measured on them is kept fresh."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.examples.finished import KEPT
from demo.examples.measured import kept, kept_patches, measured
from toolkit.normalize import load_normalized

PROGRAM = """
from pathlib import Path
from demo.examples import content_files
assert content_files() == content_files() and all(Path(path).stat().st_size for path in content_files())
"""


def test_photographs_are_written_once_and_deleted_with_the_process(tmp_path):
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
    assert not list(tmp_path.glob("photographs-*"))


@pytest.mark.parametrize("name", KEPT)
def test_of_the_networks_here_the_page_tells_at_once(name):
    network = load_normalized(name)
    found = kept(network)
    assert found and found.means.startswith("<svg") and len(found.losses) == 10
    scores = [float(score) for _, score in kept_patches(network)]
    assert len(scores) == 9 and scores == sorted(scores, reverse=True)


def test_what_is_told_at_once_is_what_would_be_measured(tiny_network):
    network = load_normalized("vgg19-small")
    for ours, theirs in zip(measured(network).losses, kept(network).losses, strict=True):
        assert (ours[0], ours[2]) == (theirs[0], theirs[2]) and ours[1] == pytest.approx(theirs[1], abs=1e-3)
    assert kept(tiny_network()) is None and not kept_patches(tiny_network())
