"""Where images come from: a folder, a tar archive as ImageNet ships it, or a list. Nothing is unpacked."""

import io
import os
import random
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image

from ..errors import ToolkitError
from .io import example_photographs, open_picture, to_picture

#: How the names of images in folders and archives end.
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}


class Source(Protocol):
    """A named image that can be opened."""

    @property
    def name(self) -> str: ...

    def picture(self, at_least: tuple[int, int] | None = None) -> Image.Image:
        """Opens the image; arguments and errors are those of ``open_picture``."""


@dataclass(frozen=True)
class Example:
    """One of ``example_photographs``."""

    name: str

    def picture(self, at_least: tuple[int, int] | None = None) -> Image.Image:
        """As ``Source``."""
        return to_picture(example_photographs()[self.name])


@dataclass(frozen=True, eq=False)
class Held:
    """A picture in memory."""

    name: str
    held: Image.Image = field(repr=False)

    def picture(self, at_least: tuple[int, int] | None = None) -> Image.Image:
        """As ``Source``."""
        return self.held


@dataclass(frozen=True)
class Entry:
    """An image file, or ``size`` bytes of an archive from ``offset`` on."""

    name: str
    path: Path
    offset: int = 0
    size: int | None = None

    def picture(self, at_least: tuple[int, int] | None = None) -> Image.Image:
        """As ``Source``."""
        if self.size is None:
            return open_picture(self.path, self.name, at_least)
        try:
            with self.path.open("rb") as archive:
                archive.seek(self.offset)
                content = archive.read(self.size)
        except OSError as error:
            raise ToolkitError(f"{self.name} could not be read ({error.strerror or error}).") from error
        if len(content) < self.size:
            raise ToolkitError(f"{self.name} is cut short, as {self.path.name} ends there: fetch the archive again.")
        return open_picture(io.BytesIO(content), self.name, at_least)


def list_images(source: Path, *, limit: int | None = None, sample: int | None = None, seed: int = 0) -> list[Entry]:
    """The images in a folder and its subfolders, in a ``.tar``, or in a ``.txt`` list with a path on each line.

    Folders and archives: files with one of ``SUFFIXES``, sorted by name. Lists: in their order, with paths relative to
    the folder of the list.

    Args:
        source: the folder, archive or list.
        limit: takes the first so many.
        sample: takes so many at random, in the same order.
        seed: of that choice.

    Raises:
        ToolkitError: when the source can't be read, or holds no image.
    """
    try:
        if source.is_dir():
            entries = sorted(_in_folder(source), key=lambda entry: entry.path)
        elif not source.exists():
            raise ToolkitError(f"There is no folder or archive {source}: name one that holds images.")
        elif source.suffix.lower() == ".txt":
            entries = list(_in_list(source))
        else:
            entries = sorted(_in_archive(source), key=lambda entry: entry.name)
    except OSError as error:
        raise ToolkitError(f"Could not read {source}: {error.strerror or error}.") from error
    if not entries:
        raise ToolkitError(f"{source} holds no images ({', '.join(sorted(SUFFIXES))}).")
    if sample is not None and sample < len(entries):
        chosen = sorted(random.Random(seed).sample(range(len(entries)), sample))
        entries = [entries[index] for index in chosen]
    return entries[:limit]


def _in_folder(folder: Path) -> Iterator[Entry]:
    """Follows links to folders, visiting each folder once: links may form a circle."""
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = Path(root).stat()
        if (real.st_dev, real.st_ino) in seen:
            folders.clear()
            continue
        seen.add((real.st_dev, real.st_ino))
        for name in files:
            if Path(name).suffix.lower() in SUFFIXES:
                path = Path(root, name)
                yield Entry(str(path.relative_to(folder)), path)


def _refuse(error: OSError) -> None:
    raise error


def _in_list(source: Path) -> Iterator[Entry]:
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ToolkitError(f"{source} is not a list of paths: write them as text, one on each line.") from error
    for line in lines:
        if line.strip():
            yield Entry(line.strip(), source.parent / line.strip())


def _in_archive(source: Path) -> Iterator[Entry]:
    """Reads the headers only. When an archive was cut short, its last image is reported as damaged later."""
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                    yield Entry(member.name, source, member.offset_data, member.size)
    except tarfile.ReadError as error:
        if "unexpected end" in str(error):
            return
        raise ToolkitError(
            f"{source} is neither a folder, a .txt list nor an uncompressed .tar: "
            "images are read in place, so unzip a compressed archive first."
        ) from error
