"""A synthesis as a film, with more frames where the image changes more."""

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import ToolkitError
from ..files import written_atomically
from ..pictures.io import to_picture
from .synthesis import Progress

#: How the name of a film may end.
SUFFIXES = (".mp4", ".gif", ".webp")


class Timelapse:
    """Collects frames while a synthesis runs, and writes them as a film.

    >>> from pathlib import Path
    >>> film = Timelapse(Path("film.gif"), longest=256)  # then film.add(progress) in the loop, and film.save()

    Args:
        path: of the film; the suffix is its format, ``.mp4``, ``.gif`` or ``.webp``.
        longest: longest side of a frame in pixels.
        rate: frames a second.

    Raises:
        ToolkitError: when the suffix is another, or ``.mp4`` and ffmpeg is not installed.
    """

    #: Iterations of a frame over those of the frame before: early iterations change the image more than late ones.
    GROWTH = 13 / 12

    def __init__(self, path: Path, longest: int = 720, rate: int = 12) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ToolkitError(f"{path} can't be a timelapse: name a file that ends in {', '.join(SUFFIXES)}.")
        if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
            raise ToolkitError(f"{path} needs ffmpeg, which is not installed: install it, or use .webp or .gif.")
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
        with written_atomically(path or self.path) as temporary:
            if self.path.suffix.lower() == ".mp4":
                self._encode(frames, temporary)
            else:
                duration = [1000 // self.rate] * (len(frames) - 1) + [1000]
                first, *rest = frames
                first.save(temporary, save_all=True, append_images=rest, duration=duration, loop=0)

    def _encode(self, frames: list[Image.Image], path: Path) -> None:
        width, height = frames[0].size
        command = [
            *("ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"),
            *("-s", f"{width}x{height}", "-r", str(self.rate), "-i", "-"),
            *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)),
        ]
        frames = [*frames, *[frames[-1]] * self.rate]
        done = subprocess.run(
            command, input=b"".join(np.asarray(frame).tobytes() for frame in frames), capture_output=True
        )
        if done.returncode:
            raise ToolkitError(f"ffmpeg could not write {self.path}: {done.stderr.decode(errors='replace').strip()}")
