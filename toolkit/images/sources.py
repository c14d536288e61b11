"""Where images come from: a folder, an archive as ImageNet ships it, or a list. Nothing is unpacked."""

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

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}


class Source(Protocol):
    """Something that opens as a picture and has a name."""

    @property
    def name(self) -> str: ...

    def picture(self, at_least: tuple[int, int] | None = None) -> Image.Image:
        """Opens it as ``open_picture`` does."""


@dataclass(frozen=True)
class Example:
    """One of scikit-image's photographs, at hand without a download."""

    name: str

    def picture(self, at_least: tuple[int, int] | None = None) -> Image.Image:
        """All of it."""
        return to_picture(example_photographs()[self.name])


@dataclass(frozen=True, eq=False)
class Held:
    """A picture that is in memory already."""

    name: str
    held: Image.Image = field(repr=False)

    def picture(self, at_least: tuple[int, int] | None = None) -> Image.Image:
        """All of it."""
        return self.held


@dataclass(frozen=True)
class Entry:
    """An image to be found: a file, or a stretch of ``size`` bytes of an archive."""

    name: str
    path: Path
    offset: int = 0
    size: int | None = None

    def picture(self, at_least: tuple[int, int] | None = None) -> Image.Image:
        """Opens it as ``open_picture`` does.

        Raises:
            ToolkitError: when it is missing, no picture, damaged or too large.
        """
        if self.size is None:
            return open_picture(self.path, self.name, at_least)
        try:
            with self.path.open("rb") as archive:
                archive.seek(self.offset)
                content = archive.read(self.size)
        except OSError as error:
            raise ToolkitError(f"{self.name} could not be read ({error.strerror or error}).") from error
        if len(content) < self.size:
            raise ToolkitError(f"{self.name} is cut short, as {self.path.name} is there: fetch the archive again.")
        return open_picture(io.BytesIO(content), self.name, at_least)


def list_images(source: Path, *, limit: int | None = None, sample: int | None = None, seed: int = 0) -> list[Entry]:
    """The images of a folder and its subfolders, of a ``.tar``, or of a ``.txt`` with a path in each line.

    Those of a folder or an archive are sorted by name and told by their suffix; a list keeps its order, and its
    relative paths start from where it lies.

    Args:
        source: the folder, archive or list.
        limit: take the first so many.
        sample: take so many at random instead, in the same order.
        seed: of that choice.

    Raises:
        ToolkitError: when there is no such source, or no image in it.
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
    """Linked folders are followed, each folder once, so that links in a circle end."""
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
        raise ToolkitError(f"{source} is no list of paths: it is not text.") from error
    for line in lines:
        if line.strip():
            yield Entry(line.strip(), source.parent / line.strip())


def _in_archive(source: Path) -> Iterator[Entry]:
    """Reads the headers alone. Where an archive was cut short, its last image shows that by being damaged."""
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
