"""Long passes: killed and taken up again, shared among processes, the sums are the same."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.cli import main
from toolkit.data.sources import list_images
from toolkit.data.stream import ImageStream
from toolkit.errors import ToolkitError
from toolkit.files import save_tensors
from toolkit.network import load_network, save_network
from toolkit.normalize import Pass
from toolkit.normalize.measure import PartialFile, measure


@pytest.fixture
def desk(tmp_path, monkeypatch, tiny_network):
    """A working folder with a network and 150 images of two sizes, two of them broken."""
    monkeypatch.chdir(tmp_path)
    save_network(tiny_network(), tmp_path / "plain.safetensors")
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(150):
        shape = (40, 36 + number % 2, 3)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / "images" / f"{number:03}.png")
    (tmp_path / "images" / "020.png").write_text("no image")
    (tmp_path / "images" / "133.png").write_text("no image")
    return tmp_path


COMMAND = ["normalize", "plain.safetensors", "images", "--prepare", "native", "--workers", "0"]


def run(*arguments, launcher=(), **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *launcher, "toolkit", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, **options)


def means(path):
    return load_network(path).mean_activations


def test_interrupted_anywhere_it_goes_on_to_the_same_sums(desk, tiny_network):
    network, stream = tiny_network(), ImageStream(list_images(desk / "images"), "native")
    whole = measure([network], stream)
    for _ in range(3):  # each run comes one chunk further and is then ended
        done = 0

        def stop(images):
            nonlocal done
            done += 1
            if done == 3:  # what was done before, one chunk, and one more that an interruption follows
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            measure([network], stream, partial=PartialFile(desk / "sums", {"a": "b"}), progress=stop)
        if PartialFile(desk / "sums", {"a": "b"}).load().chunks >= 4:
            break
    again = measure([network], stream, partial=PartialFile(desk / "sums", {"a": "b"}))
    assert (again.images, again.skipped) == (whole.images, whole.skipped) and again.images == 148
    for name, mean in whole.sums[0].means().items():
        assert torch.equal(mean, again.sums[0].means()[name])


def test_killed_without_warning_it_goes_on_to_the_same_file(desk):
    assert main([*COMMAND, "-o", "whole.safetensors"]) == 0
    # A reader that is slow enough to be killed in the middle, and writes its sums at every chunk.
    script = (
        "import sys, time, toolkit.normalize.measure as p, toolkit.data.stream as i\n"
        "p.PartialFile.due = lambda self: True\n"
        "real = i.ImageStream.__getitem__\n"
        "i.ImageStream.__getitem__ = lambda s, n: (time.sleep(0.4), real(s, n))[1]\n"
        "from toolkit.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    partial = desk / "killed.safetensors.0.partial"
    for _ in range(2):
        before = partial.stat().st_mtime_ns if partial.exists() else 0
        process = subprocess.Popen([sys.executable, "-c", script, *COMMAND, "-o", "killed.safetensors"])
        deadline = time.monotonic() + 60
        while (partial.stat().st_mtime_ns if partial.exists() else 0) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (desk / "killed.safetensors").exists()
    assert main([*COMMAND, "-o", "killed.safetensors"]) == 0
    for name, mean in means("whole.safetensors").items():
        assert torch.equal(mean, means("killed.safetensors")[name])
    assert not list(desk.glob("*.partial"))


def test_processes_share_the_images_each_counted_once(desk):
    assert main([*COMMAND, "-o", "one.safetensors"]) == 0
    processes = 3  # five chunks, so that their shares differ
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    done = run(*COMMAND, "-o", "many.safetensors", launcher=launcher)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("148 images read, 2 skipped") == 1
    note = load_network("many.safetensors").provenance["normalization"]
    assert (note["images"], note["processes"]) == (148, processes)
    assert note["positions"] == load_network("one.safetensors").provenance["normalization"]["positions"]
    for name, mean in means("one.safetensors").items():
        torch.testing.assert_close(mean, means("many.safetensors")[name], rtol=1e-13, atol=0)
    assert not list(desk.glob("*.partial"))


def test_sums_of_other_images_weights_or_settings_are_refused(desk, tiny_network):
    stream = ImageStream(list_images(desk / "images"), "native")
    Pass(stream, partials=desk / "x").measure([tiny_network()])
    others = [
        ("images", Pass(ImageStream(stream.entries[:-1], "native"), partials=desk / "x"), tiny_network()),
        ("network", Pass(stream, partials=desk / "x"), tiny_network(seed=1)),
        ("network", Pass(stream, partials=desk / "x"), tiny_network(pooling="max")),
        ("preparation", Pass(ImageStream(stream.entries, "crop"), partials=desk / "x"), tiny_network()),
        ("arithmetic", Pass(stream, "bfloat16", partials=desk / "x"), tiny_network()),
    ]
    for name, work, network in others:
        with pytest.raises(ToolkitError, match=f"was made with other {name}: name another output"):
            work.measure([network])
    (desk / "x.0.partial").write_bytes(b"cut short")
    with pytest.raises(ToolkitError, match=r"The interrupted pass in .* can't be read: name another output"):
        Pass(stream, partials=desk / "x").measure([tiny_network()])
    save_tensors({}, desk / "x.0.partial", {"key": "{}", "pass": '{"sums": [], "reading": 1}'})  # another version's
    with pytest.raises(ToolkitError, match=r"The interrupted pass in .* can't be read: name another output"):
        Pass(stream, partials=desk / "x").measure([tiny_network()])


def test_bfloat16_means_are_those_of_float32_to_its_precision(desk, tiny_network):
    stream = ImageStream(list_images(desk / "images"), "native")
    exact, rounded = (measure([tiny_network()], stream, arithmetic=a).sums[0].means() for a in ("float32", "bfloat16"))
    for name in ("conv1_1", "conv2_1"):
        torch.testing.assert_close(exact[name], rounded[name], rtol=2e-2, atol=1e-3)
    assert not torch.equal(exact["conv1_1"], rounded["conv1_1"])


def test_the_report_stands_alone_and_tells_everything(desk):
    assert main([*COMMAND, "-o", "x.safetensors", "--pooling", "both", "--report", "x.html"]) == 0
    text = (desk / "x.html").read_text()
    assert "148 images were read" in text and "2 files were skipped" in text
    assert "vgg19, average pooling" in text and "vgg19, max pooling" in text
    assert "020.png is not a picture" in text and text.count("<svg") == 2 and text.count("relu5_4</td>") == 2
    assert "http" not in text and "src=" not in text
    assert load_network("x.safetensors").pooling == "average"
    provenance = load_network("x.safetensors", pooling="max").provenance["normalization"]
    assert provenance["source"] == "images" and provenance["skipped"].keys() == {"020.png", "133.png"}
    json.dumps(provenance)


def test_a_disk_that_is_full_or_closed_is_told_in_a_sentence(desk, capsys):
    (desk / "file").touch()
    assert main([*COMMAND, "-o", "file/x.safetensors"]) == 2
    assert "Could not write file/x.safetensors" in capsys.readouterr().err
