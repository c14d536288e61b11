"""Clips in and out: times, sides, colours and sound are those of the file, and odd files are told."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from toolkit.errors import DamagedFileError, ToolkitError, ToolkitWarning
from toolkit.pictures.clips import Clip, Frame, Sound, open_clip, save_clip

av = pytest.importorskip("av")

RATE = Fraction(25)


def shades(count, height=32, width=48, red=True):
    """Frames of one colour, brighter by time."""
    for number in range(count):
        image = torch.full((1, 3, height, width), 40 + number * 160 // count, dtype=torch.uint8)
        image[:, 1:] = image[:, 1:] // 2 if red else image[:, 1:]
        yield Frame(number / RATE, image)


def save(path, frames, sound=None):
    save_clip(path, frames, RATE, sound)
    return path


def make(path, count=10, *, format="yuv420p", codec="libx264", rate=25, tone=0, pts=None, **context):
    """A file by PyAV itself."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 48, 32, format
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        heard = out.add_stream("pcm_s16le" if tone == 1 else "aac", rate=8000, layout="mono") if tone else None
        for number in range(count):
            shade = np.full((32, 48, 3), 40 + number * 160 // count, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade)
            if pts:
                frame.pts, frame.time_base = pts[number], Fraction(1, 1000)
            out.mux(stream.encode(frame.reformat(format=format, dst_color_range=context.get("color_range"))))
        out.mux(stream.encode(None))
        if heard:
            wave = (np.sin(np.arange(8000 * count // rate) / 3) * 9000).astype(np.int16)[None]
            sound = av.AudioFrame.from_ndarray(wave, "s16", "mono")
            sound.rate, sound.pts = 8000, 0
            resampled = av.AudioResampler(heard.codec_context.format, "mono", 8000).resample(sound)
            for frame in resampled:
                out.mux(heard.encode(frame))
            out.mux(heard.encode(None))
    return path


def test_frames_times_and_colours_come_back(tmp_path):
    clip = open_clip(save(tmp_path / "a name.mp4", shades(10, 33, 49)))
    frames = list(clip.frames)
    assert (clip.rate, clip.count, len(frames)) == (25, 10, 10)
    for found, given in zip(frames, shades(10, 32, 48), strict=True):
        assert found.time == given.time and found.image.shape == given.image.shape  # the odd row and column are left
        assert (found.image.float() - given.image.float()).abs().max() <= 4


def test_parts_and_rates(tmp_path):
    path = save(tmp_path / "x.mp4", shades(50))
    part = open_clip(path, begin=0.5).part(0.5, 1.5)
    times = [frame.time for frame in part.frames]
    assert times[0] == Fraction(1, 50) and len(times) == part.count == 25
    slow = open_clip(path).part(fps=10)
    frames = list(slow.frames)
    assert len(frames) == slow.count == 20 and frames[3].time == Fraction(3, 10)
    assert len(list(open_clip(path).part(0, 1, 50).frames)) == 50
    assert len(list(open_clip(path).part(0, 0.4, 10).frames)) == 4


def test_a_variable_rate_is_kept(tmp_path):
    times = [0, 40, 80, 300, 1000]
    source = make(tmp_path / "x.mkv", 5, pts=times, time_base=Fraction(1, 1000))
    clip = open_clip(source)
    frames = list(clip.frames)
    assert [round(frame.time * 1000) for frame in frames] == times
    save_clip(tmp_path / "y.mp4", frames, clip.rate)
    assert [round(frame.time * 1000) for frame in open_clip(tmp_path / "y.mp4").frames] == times


@pytest.mark.parametrize(
    ("format", "context"),
    [("yuv420p", {}), ("yuv420p10le", {}), ("yuv444p", {}), ("yuv420p", {"color_range": 2})],
)
def test_ranges_and_depths_have_the_same_colours(tmp_path, format, context):
    frames = list(open_clip(make(tmp_path / "x.mp4", format=format, **context)).frames)
    assert [frame.image.float().mean() for frame in frames] == pytest.approx([40 + 16 * n for n in range(10)], abs=3)


def test_pixels_that_are_not_square_become_so(tmp_path):
    source = make(tmp_path / "x.mp4", sample_aspect_ratio=Fraction(2))
    assert next(open_clip(source).frames).image.shape == (1, 3, 32, 96)


@pytest.mark.parametrize(
    ("matrix", "corner"), [((0, 1, -1, 0), (0, -1)), ((-1, 0, 0, -1), (-1, -1)), ((0, -1, 1, 0), (-1, 0))]
)
def test_turned_clips_are_upright(tmp_path, matrix, corner):
    image = torch.full((1, 3, 32, 48), 20, dtype=torch.uint8)
    image[..., :16, :16] = 235  # top left, before it is turned
    path = save(tmp_path / "x.mp4", [Frame(n / RATE, image) for n in range(3)])
    data = path.read_bytes()
    one, zero = (65536).to_bytes(4, "big"), bytes(4)
    plain = [one, zero, zero, zero, one]
    at = data.index(b"".join(plain), data.index(b"tkhd"))  # the track's matrix, row by row
    a, b, c, d = ((65536 * number).to_bytes(4, "big", signed=True) for number in matrix)
    path.write_bytes(data[:at] + b"".join([a, b, zero, c, d]) + data[at + 20 :])
    found = next(open_clip(path).frames).image
    assert found.shape[-2:] == ((48, 32) if matrix[0] == 0 else (32, 48))
    assert found[0, 0, corner[0], corner[1]] > 200 and (found > 128).float().mean() == pytest.approx(1 / 6, abs=0.02)


@pytest.mark.parametrize(("name", "tone", "codec"), [("x.mov", 1, "aac"), ("x.mp4", 2, "aac")])
def test_sound_is_kept_or_becomes_aac(tmp_path, name, tone, codec):
    source = make(tmp_path / name, 50, tone=tone)
    clip = open_clip(source, begin=0.5).part(0.5, 1.5)
    save(tmp_path / "out.mp4", clip.frames, Sound(source, 0.5, 1.5))
    with av.open(str(tmp_path / "out.mp4")) as film:
        (heard,) = film.streams.audio
        assert heard.codec_context.name == codec
        assert float(heard.duration * heard.time_base) == pytest.approx(1, abs=0.15)


def test_a_film_without_sound_has_none(tmp_path):
    source = make(tmp_path / "x.mp4")
    save(tmp_path / "y.mp4", shades(3), Sound(source))
    with av.open(str(tmp_path / "y.mp4")) as film:
        assert not film.streams.audio


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations_are_clips(tmp_path, suffix):
    path = save(tmp_path / f"x{suffix}", list(shades(10)))
    clip = open_clip(path)
    frames = list(clip.frames)
    assert [frame.time for frame in frames] == [n / RATE for n in range(10)]
    for found, given in zip(frames, shades(10), strict=True):
        assert (found.image.float() - given.image.float()).abs().mean() < 6


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize("rate", [24, 30, Fraction(30000, 1001), 60])
def test_an_animation_lasts_as_long_as_its_frames(tmp_path, suffix, rate):
    frames = [frame._replace(time=n / Fraction(rate)) for n, frame in enumerate(shades(40))]
    save_clip(tmp_path / f"x{suffix}", frames, Fraction(rate))
    with Image.open(tmp_path / f"x{suffix}") as film:
        durations = [frame.load() and frame.info["duration"] for frame in ImageSequence.Iterator(film)]
    assert sum(durations) == pytest.approx(1000 * 40 / rate, abs=20)
    assert suffix == ".webp" or min(durations) >= 20  # shorter ones last longer in browsers


def test_a_transparent_animation_gets_a_ground(tmp_path):
    frames = [Image.new("RGBA", (20, 10), (255, 0, 0, alpha)) for alpha in (0, 255)]
    frames[0].save(tmp_path / "x.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    first, second = open_clip(tmp_path / "x.webp", background="blue").frames
    assert first.image[0, :, 0, 0].tolist() == [0, 0, 255] and second.image[0, :, 0, 0].tolist() == [255, 0, 0]


def test_numbered_frames_are_a_clip(tmp_path):
    for number in (2, 10, 9):
        Image.new("RGB", (20, 10 + (number == 10)), (number, 0, 0)).save(tmp_path / f"f{number}.png")
    clip = open_clip(tmp_path, 10)
    frames = list(clip.frames)
    assert [int(frame.image[0, 0, 0, 0]) for frame in frames] == [2, 9, 10] and clip.count == 3
    assert [frame.time for frame in frames] == [0, Fraction(1, 10), Fraction(2, 10)]
    assert {frame.image.shape for frame in frames} == {(1, 3, 10, 20)}


def test_odd_files_are_told(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=8000, layout="mono")
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.float32), "fltp", "mono")
        wave.rate = 8000
        out.mux([*stream.encode(wave), *stream.encode(None)])
    with pytest.raises(DamagedFileError, match="has sound and no pictures"):
        open_clip(tmp_path / "sound.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no clip")
    for name in ("empty.mp4", "text.mp4"):
        with pytest.raises(DamagedFileError, match=f"{name} is no clip that can be read"):
            open_clip(tmp_path / name)
    with pytest.raises(DamagedFileError, match="has no numbered frames"):
        open_clip(tmp_path)
    with pytest.raises(ToolkitError, match="can't be a film"):
        save(tmp_path / "x.avi", shades(2))


def test_a_clip_that_is_cut_short_gives_what_is_there(tmp_path):
    rng = np.random.default_rng(0)
    noise = [torch.from_numpy(rng.integers(0, 256, (1, 3, 64, 64), np.uint8)) for _ in range(30)]
    path = save(tmp_path / "x.mp4", [Frame(n / RATE, image) for n, image in enumerate(noise)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(ToolkitWarning, match=r"x.mp4 is damaged after 0\.\d seconds"):
        assert 5 < len(list(open_clip(path).frames)) < 30


def test_one_frame_is_a_clip(tmp_path):
    assert len(list(open_clip(save(tmp_path / "x.mp4", shades(1))).frames)) == 1


@pytest.mark.parametrize("begin", [0.0, 0.2])
def test_times_count_from_the_first_frame(tmp_path, begin):
    path = make(tmp_path / "x.mkv", 10, pts=[5000 + 40 * number for number in range(10)])
    times = [round(float(frame.time), 3) for frame in open_clip(path, begin=begin).part(begin, 0.4).frames]
    assert times == [round(0.04 * number, 3) for number in range(round((0.4 - begin) * 25))]


def test_a_part_after_the_end_has_no_frames(tmp_path):
    path = make(tmp_path / "x.ts")
    assert not list(open_clip(path, begin=9).part(9).frames)


def test_a_clip_of_unknown_length_has_as_many_frames_as_are_asked_for():
    assert Clip(RATE, 0, iter(())).part(1, 3).count == 50
    assert Clip(RATE, 0, iter(())).part(1).count == 0


def test_a_frame_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.pictures.clips.MAX_PIXELS", 1000)
    with pytest.raises(DamagedFileError, match="48 x 32"):
        open_clip(make(tmp_path / "x.mp4"))
