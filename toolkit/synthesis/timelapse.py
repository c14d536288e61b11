"""A synthesis as a film: frames taken evenly in progress, not in time."""

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import ToolkitError
from ..files import written_atomically
from ..images.io import to_picture
from .synthesis import Progress

#: How a film's name may end.
SUFFIXES = (".mp4", ".gif", ".webp")


class Timelapse:
    """Gathers frames while a synthesis runs, and writes them.

    Early evaluations change much and late ones little, so a frame is taken whenever the number of evaluations has
    grown by another twelfth, which spaces them evenly in the logarithm of the objective, roughly.

    Args:
        path: the film's; its suffix says the format.
        longest: longest side of a frame in pixels; even, as video wants it.
        rate: frames a second.

    Raises:
        ToolkitError: for another suffix, or ``.mp4`` where there is no ffmpeg.
    """

    GROWTH = 13 / 12

    def __init__(self, path: Path, longest: int = 720, rate: int = 12) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ToolkitError(f"{path} must end in {', '.join(SUFFIXES)} to be a timelapse.")
        if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
            raise ToolkitError(f"{path} needs the program ffmpeg, which is not here: install it, or use .webp or .gif.")
        self.path, self.longest, self.rate = path, longest, rate
        self.frames: list[Image.Image] = []
        self._next = 1

    def add(self, progress: Progress) -> None:
        """Takes a frame when it is time for one; the last evaluation is always one."""
        if progress.iteration >= self._next or progress.iteration == progress.iterations:
            self._next = max(progress.iteration + 1, math.ceil(progress.iteration * self.GROWTH))
            frame = to_picture(progress.preview())
            scale = min(1.0, self.longest / max(frame.size))
            width, height = (max(2, round(side * scale / 2) * 2) for side in frame.size)
            self.frames.append(frame.resize((width, height), Image.Resampling.LANCZOS))

    def save(self) -> None:
        """Writes the film, its last frame held for a second.

        Raises:
            ToolkitError: when there are no frames, or it can't be written.
        """
        if not self.frames:
            raise ToolkitError(f"Nothing was evaluated, so there is no timelapse {self.path} to write.")
        with written_atomically(self.path) as temporary:
            if self.path.suffix.lower() == ".mp4":
                self._encode(temporary)
            else:
                duration = [1000 // self.rate] * (len(self.frames) - 1) + [1000]
                first, *rest = self.frames
                first.save(temporary, save_all=True, append_images=rest, duration=duration, loop=0)

    def _encode(self, path: Path) -> None:
        width, height = self.frames[0].size
        command = [
            *("ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"),
            *("-s", f"{width}x{height}", "-r", str(self.rate), "-i", "-"),
            *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)),
        ]
        frames = [*self.frames, *[self.frames[-1]] * self.rate]
        done = subprocess.run(
            command, input=b"".join(np.asarray(frame).tobytes() for frame in frames), capture_output=True
        )
        if done.returncode:
            raise ToolkitError(f"ffmpeg could not write {self.path}: {done.stderr.decode(errors='replace').strip()}")
