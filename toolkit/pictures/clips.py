"""Clips in and out: video by PyAV, which brings FFmpeg with it; animated GIF and WebP; folders of numbered frames."""

import heapq
import itertools
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence
from torch import Tensor

from ..choices import FILMS
from ..errors import DamagedFileError, ToolkitError, ToolkitWarning, WriteError, imported
from ..files import written_atomically
from .decode import MAX_PIXELS, SUFFIXES, opaque, opened
from .io import open_picture, to_picture, to_uint8

#: Frames a second where nothing tells.
RATE = Fraction(25)

#: Times in an .mp4 are multiples of this, in seconds; frames at any usual rate, also of television, fall on some.
TICK = Fraction(1, 120_000)

#: Times in an animation are multiples of these, in milliseconds.
TICKS = {".gif": 10, ".webp": 1}

#: Sound that an .mp4 holds as it is; other sound becomes AAC.
COPIED = {"aac", "mp3", "ac3", "eac3", "alac", "opus"}

#: H.264 that every player shows. BT.709, in numbers of ITU-T H.273, and the limited range of values.
H264 = {"crf": "17", "preset": "medium"}
BT709, LIMITED = 1, 1

#: A clip that has fewer of its frames is damaged.
WHOLE = 0.95

#: Clips of more lines than this are BT.709 where they do not say, others BT.601.
LINES = 576


class Frame(NamedTuple):
    """``time``: from the beginning of the clip, in seconds. ``image``: (1, 3, H, W), uint8."""

    time: Fraction
    image: Tensor


@dataclass(frozen=True)
class Clip:
    """A clip that is read once, frame by frame.

    ``rate``: frames a second, on average. ``count``: about how many frames there are; 0 where that is not known.
    ``frames``: they, upright, with square pixels.
    """

    rate: Fraction
    count: int
    frames: Iterator[Frame]

    def part(self, begin: float = 0.0, end: float = math.inf, fps: float | None = None) -> "Clip":
        """A part of it, in seconds; with another rate, of the frames that are then shown."""
        rate = self.rate if fps is None else Fraction(fps).limit_denominator(1001)
        seconds = min(end, float(self.count / self.rate) or end) - begin
        taken = itertools.takewhile(lambda frame: float(frame.time) < end, self.frames)
        shift = Fraction(begin).limit_denominator(10**6)
        frames = (frame._replace(time=frame.time - shift) for frame in taken if float(frame.time) >= begin)
        shown = frames if fps is None else _at_rate(frames, rate, 1 / self.rate)
        shown = itertools.takewhile(lambda frame: float(frame.time) < end - begin, shown)
        return Clip(rate, max(1, math.ceil(seconds * rate)) if math.isfinite(seconds) else 0, shown)


def open_clip(source: str | Path, rate: float | None = None, *, begin: float = 0.0, background: str = "white") -> Clip:
    """Opens a clip: a video, an animated GIF or WebP, or a folder of numbered frames.

    Args:
        source: its path.
        rate: of a folder, frames a second.
        begin: what is before, in seconds, need not be read.
        background: a colour, by name or as #rrggbb, behind transparent parts.

    Raises:
        ToolkitError: when it can't be read or has no pictures, or PyAV is not installed.
    """
    path = Path(source)
    if path.is_dir():
        return _folder(path, Fraction(rate or RATE).limit_denominator(1001), background)
    return _animation(path, background) if path.suffix.lower() in SUFFIXES else _video(path, begin)


def save_clip(path: Path, frames: Iterable[Frame], rate: Fraction, sound: "Sound | None" = None) -> None:
    """Writes a film, atomically: H.264 and AAC in an .mp4, an animated .gif or .webp.

    Args:
        path: ends in one of ``choices.FILMS``.
        frames: in the order of their times; an .mp4 loses the last row or column of odd sizes.
        rate: frames a second, on average; the last frame lasts so long.
        sound: of an .mp4.

    Raises:
        ToolkitError: when it can't be written, or PyAV is not installed.
    """
    if path.suffix.lower() not in FILMS:
        raise ToolkitError(f"{path} can't be a film: name a file that ends in {', '.join(FILMS)}.")
    with written_atomically(path) as temporary:
        if path.suffix.lower() != ".mp4":
            _animate(temporary, list(frames), rate)
            return
        av = pyav()
        try:
            _encode(av, temporary, frames, rate, sound)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise WriteError(f"{path} could not be encoded: {error.strerror}.") from error


class Sound(NamedTuple):
    """The sound of a clip, from ``begin`` to ``end`` in seconds."""

    source: Path
    begin: float = 0.0
    end: float = math.inf


def pyav() -> Any:
    """PyAV.

    Raises:
        ToolkitError: when it is not installed.
    """
    av = imported("av", 'Video needs PyAV: pip install "normalized-vgg[video]".')
    av.logging.set_level(None)
    return av


def _video(path: Path, begin: float) -> Clip:
    av = pyav()
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise DamagedFileError(f"{path} is no clip that can be read: use .mp4.") from error
    streams = [each for each in container.streams.video if not each.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise DamagedFileError(f"{path} has sound and no pictures: name a clip.")
    stream = streams[0]
    width = _width(stream, stream.sample_aspect_ratio)
    if width * stream.height > MAX_PIXELS:
        raise DamagedFileError(f"{path} has {width} x {stream.height} pixels, more than {MAX_PIXELS:,}.")
    stream.thread_type = "AUTO"
    rate = stream.average_rate or stream.guessed_rate or RATE
    seconds = stream.duration * stream.time_base if stream.duration else (container.duration or 0) / av.time_base
    return Clip(rate, stream.frames or round(seconds * rate), _frames(path, container, stream, begin))


def _frames(path: Path, container: Any, stream: Any, begin: float) -> Iterator[Frame]:
    av, last, count, damaged = pyav(), None, 0, False
    start = _start(stream)
    with container:
        if begin:
            container.seek(int((begin + start) * av.time_base))
        try:
            for frame in container.decode(stream):
                time = count / stream.average_rate if frame.pts is None else frame.pts * stream.time_base - start
                count += 1
                if last is None or time > last:  # players show no others
                    yield Frame(time, _upright(frame, stream.sample_aspect_ratio))
                    last = time
        except av.FFmpegError:
            damaged = True
        if last is None:
            if begin:
                return  # it may end before
            raise DamagedFileError(f"{path} is damaged: no frame of it can be read.")
        if damaged or (count < WHOLE * stream.frames and not begin):
            note = f"{path} is damaged after {float(last):.1f} seconds: what comes before is taken."
            warnings.warn(note, ToolkitWarning, stacklevel=2)


def _start(stream: Any) -> Fraction:
    """When a stream begins, in seconds: parts of recordings need not begin at 0."""
    return Fraction((stream.start_time or 0) * stream.time_base)


def _upright(frame: Any, aspect: Fraction | None) -> Tensor:
    """A frame of PyAV's as it is to be seen."""
    source = "ITU709" if frame.colorspace == 2 and frame.height > LINES else None
    width = _width(frame, aspect)
    shown = frame.to_ndarray(format="rgb24", width=width, src_colorspace=source, interpolation="BICUBIC")
    pixels = np.rot90(shown, round(frame.rotation / 90))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]


def _width(picture: Any, aspect: Fraction | None) -> int:
    """Of a stream or a frame in square pixels."""
    return round(picture.width * (aspect or 1))


def _animation(path: Path, background: str) -> Clip:
    with opened(path) as picture:
        times = [0]
        for frame in ImageSequence.Iterator(picture):
            times.append(times[-1] + (frame.info.get("duration") or round(1000 / RATE)))

    def frames() -> Iterator[Frame]:
        with opened(path) as picture:
            for time, frame in zip(times, ImageSequence.Iterator(picture), strict=False):
                yield Frame(Fraction(time, 1000), to_uint8(opaque(frame, background)))

    count = len(times) - 1
    return Clip(Fraction(count * 1000, times[-1]), count, frames())


def _folder(path: Path, rate: Fraction, background: str) -> Clip:
    files = [each for each in path.iterdir() if each.suffix.lower() in SUFFIXES]
    numbered = {int(numbers[-1]): each for each in sorted(files) if (numbers := re.findall(r"\d+", each.stem))}
    if not numbered:
        raise DamagedFileError(f"{path} has no numbered frames such as 0001.png.")

    def frames() -> Iterator[Frame]:
        size: tuple[int, int] | None = None
        for place, number in enumerate(sorted(numbered)):
            picture = open_picture(numbered[number], background=background)
            size = size or picture.size
            yield Frame(place / rate, to_uint8(ImageOps.fit(picture, size, Image.Resampling.BICUBIC)))

    return Clip(rate, len(numbered), frames())


def _at_rate(frames: Iterable[Frame], rate: Fraction, last: Fraction) -> Iterator[Frame]:
    """The frames that are shown at each tick; the last one lasts as long as it says."""
    shown: Frame | None = None
    tick = 0
    for frame in itertools.chain(frames, [None]):
        while shown and (tick / rate < frame.time if frame else tick / rate < shown.time + last):
            yield Frame(tick / rate, shown.image)
            tick += 1
        shown = frame


def _animate(path: Path, frames: list[Frame], rate: Fraction) -> None:
    tick = TICKS[path.suffix.lower()]
    if rate > (fastest := Fraction(1000, 2 * tick)):  # what is shown for a tick alone, browsers show for longer
        frames, rate = list(_at_rate(frames, fastest, 1 / rate)), fastest
    times = [*(frame.time for frame in frames), frames[-1].time + 1 / rate]
    # Times are rounded, and not their differences, so that nothing adds up.
    ticks = [round(time * 1000 / tick) for time in times]
    duration = [tick * (after - before) for before, after in itertools.pairwise(ticks)]
    first, *rest = (to_picture(frame.image / 255) for frame in frames)
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0)


def _encode(av: Any, path: Path, frames: Iterable[Frame], rate: Fraction, sound: Sound | None) -> None:
    frames = iter(frames)
    first = next(frames)
    height, width = (side // 2 * 2 for side in first.image.shape[-2:])  # what players can show
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=rate, options=H264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = TICK
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED

        def pictures() -> Iterator[Any]:
            for frame in itertools.chain([first], frames):
                pixels = frame.image[0, :, :height, :width].permute(1, 2, 0).contiguous().numpy()
                shown = av.VideoFrame.from_ndarray(pixels).reformat(
                    format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
                )
                shown.pts, shown.time_base = round(frame.time / TICK), TICK
                yield from stream.encode(shown)
            yield from stream.encode(None)

        heard = _heard(av, out, sound) if sound else ()  # it adds its stream before anything is written
        for packet in heapq.merge(pictures(), heard, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)


def _heard(av: Any, out: Any, sound: Sound) -> Iterator[Any]:
    """The packets of a sound, for a stream that is added to what is written."""
    with av.open(str(sound.source)) as container:
        if not container.streams.audio:
            return
        source = container.streams.audio[0]
        start = _start(container.streams.video[0])
        if sound.begin:
            container.seek(int((sound.begin + start) * av.time_base))
        copied = source.codec_context.name in COPIED
        stream = out.add_stream_from_template(source) if copied else out.add_stream("aac", rate=source.rate)
        begin = round((sound.begin + start) / source.time_base)
        for packet in container.demux(source) if copied else container.decode(source):
            if packet.pts is None or packet.pts < begin:
                continue
            if packet.pts * source.time_base - start >= sound.end:
                break
            packet.pts -= begin
            if copied:
                packet.dts -= begin
                packet.stream = stream
                yield packet
            else:
                yield from stream.encode(packet)
        if not copied:
            yield from stream.encode(None)
