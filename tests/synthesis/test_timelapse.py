"""Films have more frames where the image changes more, and open as what they say they are."""

import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.pictures.clips import open_clip
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


def test_a_video_has_all_frames_and_then_stays_for_a_second(tmp_path):
    pytest.importorskip("av")
    timelapse = Timelapse(tmp_path / "x.mp4", longest=40)
    run(timelapse, 20)
    timelapse.save()
    frames = list(open_clip(tmp_path / "x.mp4").frames)
    assert len(frames) == len(timelapse.frames) + 12 and frames[0].image.shape == (1, 3, 28, 40)
    assert frames[-1].time == len(frames[1:]) / Fraction(12)


def test_mistakes_are_told_in_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(ToolkitError, match=r"x.avi can't be a timelapse: name a file that ends in .mp4, .gif, .webp\."):
        Timelapse(tmp_path / "x.avi")
    with pytest.raises(ToolkitError, match="There is no frame for the timelapse"):
        Timelapse(tmp_path / "x.gif").save()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ToolkitError, match=r'Video needs PyAV: pip install "normalized-vgg\[video\]"'):
        Timelapse(tmp_path / "x.mp4")
