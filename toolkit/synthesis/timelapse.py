"""A synthesis as a film, with more frames where the image changes more."""

import math
from fractions import Fraction
from pathlib import Path

from PIL import Image

from ..choices import FILMS
from ..errors import ToolkitError
from ..pictures.clips import Frame, pyav, save_clip
from ..pictures.io import to_picture, to_uint8
from .synthesis import Progress


class Timelapse:
    """Collects frames while a synthesis runs, and writes them as a film.

    >>> from pathlib import Path
    >>> film = Timelapse(Path("film.gif"), longest=256)  # then film.add(progress) in the loop, and film.save()

    Args:
        path: of the film; the suffix is its format, ``.mp4``, ``.gif`` or ``.webp``.
        longest: longest side of a frame in pixels.
        rate: frames a second.

    Raises:
        ToolkitError: when the suffix is another, or ``.mp4`` and PyAV is not installed.
    """

    #: Iterations of a frame relative to the one before: early iterations change the image more than late ones.
    GROWTH = 13 / 12

    def __init__(self, path: Path, longest: int = 720, rate: int = 12) -> None:
        if path.suffix.lower() not in FILMS:
            raise ToolkitError(f"{path} can't be a timelapse: name a file that ends in {', '.join(FILMS)}.")
        if path.suffix.lower() == ".mp4":
            pyav()
        self.path, self.longest, self.rate = path, longest, rate
        self.frames: list[Image.Image] = []
        self._next = 1

    def add(self, progress: Progress) -> None:
        """Takes a frame if it is time for one; the last iteration always gives one."""
        if progress.iteration >= self._next or progress.iteration == progress.iterations:
            self._next = max(progress.iteration + 1, math.ceil(progress.iteration * self.GROWTH))
            frame = to_picture(progress.preview())
            scale = min(1.0, self.longest / max(frame.size))
            width, height = (max(2, round(side * scale / 2) * 2) for side in frame.size)  # video needs even sides
            self.frames.append(frame.resize((width, height), Image.Resampling.LANCZOS))

    def save(self, path: Path | None = None) -> None:
        """Writes the film, to its path or another; its last frame stays for a second.

        Raises:
            ToolkitError: when there are no frames, or it can't be written.
        """
        if not self.frames:
            raise ToolkitError(f"There is no frame for the timelapse {self.path}: let at least one iteration finish.")
        size = self.frames[-1].size  # coarse levels have smaller frames
        frames = [frame.resize(size, Image.Resampling.LANCZOS) for frame in self.frames]
        frames += [frames[-1]] * self.rate
        shown = [Frame(Fraction(number, self.rate), to_uint8(frame)) for number, frame in enumerate(frames)]
        save_clip(path or self.path, shown, Fraction(self.rate))
