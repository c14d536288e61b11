"""Clips on the command line: a film however it ends, and the same one when it is run again."""

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.cli import main
from toolkit.errors import DamagedFileError, ToolkitError, ToolkitWarning, WriteError
from toolkit.jobs import Transfer
from toolkit.jobs.clip import ClipPainting
from toolkit.network import load_network
from toolkit.pictures.clips import Frame, open_clip, save_clip

av = pytest.importorskip("av")
SMALL = ["--size", "32", "--iterations", "10"]


@pytest.fixture
def clip(desk):
    """Eight frames that a camera pans over."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (5, 12, 3), np.uint8)).resize((120, 50), Image.Resampling.BICUBIC)
    wide = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None]
    frames = [Frame(Fraction(n, 25), wide[..., 2 * n : 60 + 2 * n]) for n in range(8)]
    save_clip(desk / "clip.mp4", frames, Fraction(25))
    return "clip.mp4"


def transfer(network, *arguments):
    return main(["transfer", "clip.mp4", "painting.png", "--network", network, *SMALL, *arguments])


def shown(path):
    return [(float(frame.time), tuple(frame.image.shape[-2:])) for frame in open_clip(path).frames]


def test_a_clip_becomes_a_film(network, clip, desk, capsys):
    assert transfer(network) == 0
    told = capsys.readouterr()
    assert told.out == "written to clip-painting.mp4\n" and "frame 8 of 8" in told.err
    assert "neighbours " in told.err and "temporal " in told.err
    assert shown("clip-painting.mp4") == [(n / 25, (26, 32)) for n in range(8)]
    assert not (desk / "clip-painting.frames").exists()
    assert transfer(network, "--to", "0.08") == 0  # what is there is kept
    assert len(shown("clip-painting-2.mp4")) == 2


def test_folders_and_animations_are_taken_and_given(network, clip, desk, capsys):
    assert transfer(network, "--output", "painted", "--to", "0.1") == 0
    assert sorted(path.name for path in (desk / "painted").iterdir()) == [f"{n:06}.png" for n in (1, 2, 3)]
    command = ["transfer", "painted", "painting.png", "--network", network, *SMALL]
    assert main([*command, "--fps", "10"]) == 0
    assert [time for time, _ in shown("painted-painting.mp4")] == [0, 0.1, 0.2]
    assert main([*command, "--output", "x.gif"]) == 0
    assert main(["transfer", "x.gif", "painting.png", "--network", network, *SMALL, "--output", "y.mp4"]) == 0
    assert len(shown("y.mp4")) == 3
    assert main([*command, "--output", "pairs"]) == 0  # a folder of photographs, as ever
    assert len(list((desk / "pairs").iterdir())) == 3


def test_an_interrupted_run_keeps_the_film_so_far_and_goes_on_to_the_same_one(network, clip, desk, capsys):
    assert transfer(network, "--output", "whole.webp") == 0  # x264 does not always write the same bytes
    wanted = (desk / "whole.webp").read_bytes()

    def interrupt(step):
        if step.frame == 4:
            raise KeyboardInterrupt

    output = {"size": 32, "iterations": 10, "output": "film.webp"}
    job = Transfer(content=clip, styles=["painting.png"], network=network, **output)
    with pytest.raises(KeyboardInterrupt) as caught:
        job.run(interrupt)
    assert caught.value.__notes__ == ["written to film.webp"] and len(shown("film.webp")) == 3
    frames = []
    job.run(lambda step: frames.append((step.frame, step.frames)))
    assert frames[0] == (4, 8) and (desk / "film.webp").read_bytes() == wanted


def test_a_killed_run_goes_on_to_the_same_film(network, clip, desk):
    # Whether bfloat16 is faster is tried, and may be judged otherwise on a busy machine.
    exact = ["--precision", "float32"]
    assert transfer(network, "--output", "whole.webp", *exact, "--loop") == 0
    command = [
        sys.executable,
        "-m",
        "toolkit",
        "transfer",
        clip,
        "painting.png",
        "--network",
        network,
        *SMALL,
        *exact,
        "--loop",
        "--output",
        "film.webp",
    ]
    frames = desk / "film.frames"
    for kept in (2, 9):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(list(frames.glob("[0-9l]*.png"))) < kept and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert main(command[3:]) == 0
    assert (desk / "film.webp").read_bytes() == (desk / "whole.webp").read_bytes()


def test_frames_of_something_else_are_not_gone_on_from(network, clip, desk, capsys):
    with pytest.raises(KeyboardInterrupt):
        Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=10).run(stop_at_two)
    assert transfer(network, "--style-weight", "5") == 2
    assert "clip-painting.frames has frames of another recipe, network or clip: remove it." in capsys.readouterr().err
    assert transfer(network, "--output", "images") == 2
    assert "images has other files: name another output, or remove it." in capsys.readouterr().err


def stop_at_two(step):
    if step.frame == 2:
        raise KeyboardInterrupt


def test_nothing_is_left_where_nothing_was_painted(network, clip, desk, capsys):
    before = sorted(desk.rglob("*"))
    assert transfer(network, "--from", "100") == 2
    assert "error: clip.mp4 has no frame in that part." in capsys.readouterr().err
    assert sorted(desk.rglob("*")) == before


def test_masks_may_be_clips(network, clip, desk):
    save_clip(
        desk / "mask.mp4",
        [Frame(Fraction(n, 25), torch.full((1, 3, 50, 60), 255 * (n > 1), dtype=torch.uint8)) for n in range(3)],
        Fraction(25),
    )
    command = ["transfer", clip, "painting.png", "images/a.jpg", "--network", network, *SMALL, "--output", "x.mp4"]
    assert main([*command, "--masks", "mask.mp4", "photo.jpg", "--colour", "luminance", "--finish", "0"]) == 0
    assert len(shown("x.mp4")) == 8


def test_onnx_runtime_paints_clips(network, clip):
    assert transfer(network, "--engine", "onnx", "--to", "0.1", "--output", "x.mp4") == 0
    assert len(shown("x.mp4")) == 3


def test_a_full_disk_is_told_before_it_is_full(network, clip, desk, monkeypatch, capsys):
    from toolkit import files

    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    assert transfer(network) == 2
    assert "MB are free: make room for it." in capsys.readouterr().err
    assert not (desk / "clip-painting.frames").exists()


def test_time_left_and_a_preview_are_told(network, clip):
    steps = []
    job = Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=10, output="x.mp4")
    job.run(steps.append)
    assert [step.iteration for step in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].iterations == steps[-1].iteration and steps[-1].remaining == 0
    assert all(step.preview().shape[-1] <= 32 and step.remaining >= 0 for step in steps)


def test_what_a_clip_has_not_is_told(clip):
    for wish in ({"regions": 2}, {"bits": 16}, {"timelapse": "x.gif"}, {"keep_alpha": True}, {"dpi": 300}):
        with pytest.raises(ToolkitError, match="does not go with a clip: leave it out"):
            Transfer(content=clip, styles=["painting.png"], **wish).run()


def test_a_film_of_another_run_is_not_overwritten_when_it_goes_on(network, clip, desk):
    assert transfer(network, "--to", "0.04") == 0
    before = (desk / "clip-painting.mp4").read_bytes()

    def stop(step):
        if step.frame == 3:
            raise KeyboardInterrupt

    job = Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=10)
    with pytest.raises(KeyboardInterrupt):
        job.run(stop)
    assert len(shown("clip-painting-2.mp4")) == 2
    job.run()
    assert len(shown("clip-painting-2.mp4")) == 8
    assert (desk / "clip-painting.mp4").read_bytes() == before and not (desk / "clip-painting-3.mp4").exists()


def test_frames_of_a_loop_are_left_out_where_none_is_asked_for(network, clip):
    painted = {}
    for loop in (True, False):
        painting = ClipPainting(
            Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=10, loop=loop),
            load_network(network),
        )
        for _ in painting:
            pass
        painting.save(Path(f"{loop}.mp4"))
        painted[loop] = [frame.image for frame in open_clip(f"{loop}.mp4").frames]
    assert (painted[False][0].float() - painted[True][0].float()).abs().mean() > 1


def test_a_mask_that_has_no_frame_is_told(network, clip, desk):
    save_clip(desk / "mask.mp4", [Frame(Fraction(0), torch.zeros(1, 3, 50, 60, dtype=torch.uint8))], Fraction(25))
    with pytest.raises(DamagedFileError, match="has no frame in that part"):
        Transfer(content=clip, styles=["painting.png"], masks=["mask.mp4"], from_=0.1, network=network, size=32).run()


def test_sound_that_cannot_be_read_is_left_out(network, clip, monkeypatch):
    def save_or_fail(path, frames, rate, sound=None):
        if sound:
            raise WriteError("The sound is damaged.")
        save_clip(path, frames, rate)

    monkeypatch.setattr("toolkit.jobs.clip.save_clip", save_or_fail)
    with pytest.warns(ToolkitWarning, match="the film has none"):
        Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=3, to=0.1).run()
    assert len(shown("clip-painting.mp4")) == 3


def test_the_output_that_is_named_gets_the_film_though_an_earlier_one_was_begun(network, clip, desk):
    job = Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=10)
    with pytest.raises(KeyboardInterrupt):
        job.model_copy(update={"output": Path("film.mp4")}).run(stop_at_two)
    assert len(shown("film.mp4")) == 1
    job.model_copy(update={"output": Path("film.webp")}).run()
    assert len(shown("film.webp")) == 8 and len(shown("film.mp4")) == 1


def test_a_run_that_is_stopped_before_it_comes_to_new_frames_leaves_the_film(network, clip, desk):
    job = Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=10)

    def stop(step):
        if step.frame == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run(stop)
    painting = ClipPainting(job, load_network(network))
    painting.times = [Fraction(0)]  # it has come to the first of four frames
    assert painting.keep() == "written to clip-painting.mp4" and len(shown("clip-painting.mp4")) == 4
    (desk / "clip-painting.frames" / "film.txt").unlink()  # a run that was killed leaves none
    (desk / "clip-painting.mp4").unlink()
    assert painting.keep() == "written to clip-painting.mp4" and len(shown("clip-painting.mp4")) == 1


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are text there")
def test_a_name_in_another_alphabet_than_the_terminals_is_kept(network, clip, desk):
    name = os.fsdecode(b"f\xfc.mp4")
    job = Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=10, to=0.1)
    with pytest.raises(KeyboardInterrupt):
        job.model_copy(update={"output": Path(name)}).run(stop_at_two)
    job.model_copy(update={"output": Path(name)}).run()
    assert len(shown(name)) == 3


def test_frames_of_a_loop_that_ended_elsewhere_are_not_taken(network, clip, desk):
    command = ["--output", "painted", "--precision", "float32"]
    assert transfer(network, *command) == 0
    plain = (desk / "painted" / "000001.png").read_bytes()
    for path in (desk / "painted").iterdir():
        path.unlink()

    def stop(step):
        if step.frame == 8 and list((desk / "painted").glob("loop-*")):
            raise KeyboardInterrupt

    job = Transfer(content=clip, styles=["painting.png"], network=network, size=32, iterations=10, precision="float32")
    job = job.model_copy(update={"output": Path("painted")})
    with pytest.raises(KeyboardInterrupt):
        job.model_copy(update={"loop": True}).run(stop)
    job.run()
    assert sorted(path.name for path in (desk / "painted").iterdir()) == [f"{n:06}.png" for n in range(1, 9)]
    assert (desk / "painted" / "000001.png").read_bytes() == plain


def test_a_folder_whose_state_is_damaged_is_told(network, clip, desk, capsys):
    (desk / "clip-painting.frames").mkdir()
    (desk / "clip-painting.frames" / "clip.json").write_text("{")
    assert transfer(network) == 2
    assert "clip-painting.frames has frames of another recipe, network or clip: remove it." in capsys.readouterr().err


@pytest.mark.parametrize("wish", [["--fps", "0.0004"], ["--temporal-weight", "inf"]])
def test_numbers_out_of_range_are_told(network, clip, wish):
    assert transfer(network, *wish) == 2
