"""Films have more frames where the image changes more, and open as what they say they are."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.synthesis import Progress
from toolkit.synthesis.timelapse import Timelapse


def run(timelapse, iterations):
    for number in range(1, iterations + 1):
        image = torch.full((1, 3, 31, 45), number / iterations)
        timelapse.add(Progress(number, iterations, 1.0, {}, 0.0, 1.0, lambda image=image: image))


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_film_opens_and_holds_its_last_frame(tmp_path, suffix):
    timelapse = Timelapse(tmp_path / f"x{suffix}", longest=40)
    run(timelapse, 100)
    timelapse.save()
    with Image.open(tmp_path / f"x{suffix}") as film:
        assert len(timelapse.frames) // 2 < film.n_frames <= len(timelapse.frames)  # equal ones are merged
        assert film.size == (40, 28)
        film.seek(film.n_frames - 1)
        assert min(film.convert("RGB").getpixel((5, 5))) > 250


def test_frames_of_coarse_levels_are_as_large_as_the_last(tmp_path):
    timelapse = Timelapse(tmp_path / "x.gif")
    for number, size in enumerate(((16, 24), (16, 24), (32, 48)), 1):
        image = torch.rand(1, 3, *size)
        timelapse.add(Progress(number, 3, 1.0, {}, 0.0, 1.0, lambda image=image: image))
    timelapse.save()
    with Image.open(tmp_path / "x.gif") as film:
        assert (film.size, film.n_frames) == ((48, 32), 3)


def test_frames_thin_out_as_progress_slows():
    timelapse = Timelapse(Path("x.gif"))
    run(timelapse, 1000)
    assert 40 < len(timelapse.frames) < 80
    shades = [frame.getpixel((0, 0))[0] / 255 * 1000 for frame in timelapse.frames]
    assert shades[-1] == 1000 and shades[-1] - shades[-2] > 10 * (shades[11] - shades[10])


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_a_video_has_all_frames(tmp_path):
    timelapse = Timelapse(tmp_path / "x.mp4", longest=40)
    run(timelapse, 20)
    timelapse.save()
    shown = ["-v", "error", "-count_frames", "-show_entries", "stream=width,height,nb_read_frames", "-of", "csv=p=0"]
    told = subprocess.run(["ffprobe", *shown, tmp_path / "x.mp4"], capture_output=True, text=True, check=True).stdout
    assert told.strip() == f"40,28,{len(timelapse.frames) + 12}"


def test_mistakes_are_told_in_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(ToolkitError, match=r"x.avi can't be a timelapse: name a file that ends in .mp4, .gif, .webp\."):
        Timelapse(tmp_path / "x.avi")
    with pytest.raises(ToolkitError, match="There is no frame for the timelapse"):
        Timelapse(tmp_path / "x.gif").save()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolkitError, match=r"x.mp4 needs ffmpeg, which is not installed"):
        Timelapse(tmp_path / "x.mp4")
