"""Where images come from: folders, tar archives, Parquet files and lists, here or elsewhere. Nothing is unpacked."""

import csv
import io
import itertools
import os
import random
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

from PIL import Image

from ..errors import DamagedFileError, ToolkitError, ToolkitWarning
from ..files import IS_POINTER, POINTER, decoded
from ..pictures.decode import SUFFIXES
from ..pictures.io import open_picture
from . import parquet, tar
from .remote import attempt, beside, column_of, expand, in_remote_folder, is_folder, is_remote, read, read_whole, shown

#: How the names of files end that hold many images, and of lists of images.
SHARDS, LISTS = (".tar", ".parquet"), (".txt", ".csv")

#: What to do about files in which others keep images, by how their names end.
REMEDIES = {
    **dict.fromkeys((".zip", ".rar", ".7z"), "can't be read in parts: unpack it, and name its folder"),
    **dict.fromkeys((".tfrecord", ".tfrecords"), "is a TFRecord: write its images into a folder, a .tar or a .parquet"),
    **dict.fromkeys((".mdb", ".lmdb"), "is of an LMDB: write its images into a folder, a .tar or a .parquet"),
    ".arrow": "is in Arrow's format: save it as Parquet, as datasets.Dataset.to_parquet does",
}

#: How many archives are looked through at a time.
AT_ONCE = 16


class Source(Protocol):
    """A named image that can be opened."""

    @property
    def name(self) -> str: ...

    def picture(self, as_stored: bool = False) -> Image.Image:
        """Opens the image; the argument and errors are those of ``open_picture``."""


@dataclass(frozen=True, eq=False)
class Held:
    """A picture in memory."""

    name: str
    held: Image.Image = field(repr=False)

    def picture(self, as_stored: bool = False) -> Image.Image:
        """As ``Source``."""
        return self.held


class ArchiveError(ToolkitError):
    """A file that holds many images could not be read, so none of them can."""


@dataclass(frozen=True, eq=False)
class Fetched:
    """An image file's bytes, or why there are none; ``place`` is where they were to come from."""

    name: str
    place: str
    content: bytes | ToolkitError = field(repr=False)

    @property
    def lost(self) -> bool:
        """Whether all of the file could not be read that the image lies in."""
        return isinstance(self.content, ArchiveError)

    def picture(self, as_stored: bool = False) -> Image.Image:
        """As ``Source``."""
        if isinstance(self.content, ToolkitError):
            raise self.content
        return open_picture(io.BytesIO(self.content), self.name, as_stored=as_stored)


@dataclass(frozen=True)
class Entry:
    """An image file, or a part of a file that holds many.

    Attributes:
        name: of the image.
        place: path or address of the file.
        part: its first byte and their number in an archive; its row group and row in a Parquet file.
    """

    name: str
    place: str
    part: tuple[int, int] | None = None

    def picture(self, as_stored: bool = False) -> Image.Image:
        """As ``Source``."""
        (fetched,) = fetch([self])
        return fetched.picture(as_stored)


def fetch(entries: Sequence[Source]) -> Iterator[Source]:
    """Reads images without decoding them; neighbours in one file are read together.

    Yields:
        For each entry a ``Fetched``; whatever is no entry, as it is.
    """
    for place, group in itertools.groupby(entries, lambda entry: entry.place if isinstance(entry, Entry) else None):
        together = list(group)
        if place is None:
            yield from together
        else:
            files = [entry for entry in together if isinstance(entry, Entry)]
            for entry, content in zip(files, _contents(place, files), strict=True):
                yield Fetched(entry.name, place, content)


def _contents(place: str, entries: list[Entry]) -> Sequence[bytes | ToolkitError]:
    parts = [entry.part for entry in entries if entry.part]
    if not parts:
        return [_whole(entry) for entry in entries]
    try:
        if parquet.is_parquet(place):
            return parquet.contents(place, parts)
        spans = [(start, start + size) for start, size in parts]
        contents = attempt(place, lambda: tar.contents(place, spans))
    except ToolkitError as error:
        return [ArchiveError(str(error))] * len(entries)
    archive = shown(place).rpartition("/")[2]
    return [
        content
        if len(content) == size
        else ToolkitError(f"{entry.name} is cut short, as {archive} ends there: fetch the archive again.")
        for entry, (_, size), content in zip(entries, parts, contents, strict=True)
    ]


def _whole(entry: Entry) -> bytes | ToolkitError:
    try:
        if is_remote(entry.place):
            return attempt(entry.place, lambda: read_whole(entry.place))
        return read_whole(entry.place)
    except FileNotFoundError:
        return ToolkitError(f"There is no picture {entry.name}.")
    except OSError as error:
        return ToolkitError(f"{entry.name} could not be read ({error.strerror or error}).")
    except ToolkitError as error:
        return error


def list_images(*sources: str | Path, sample: int | None = None, seed: int = 0, archives: bool = True) -> list[Entry]:
    """The images in folders, archives, Parquet files and lists.

    A source is a path or an address (``https://``, ``hf://``, ``s3://``), or a pattern for several: ``{0..9}``, ``*``.

    - A folder, with its subfolders: its images, by name; then those of the archives and Parquet files in it.
    - A ``.tar``, whatever its name ends with, and the archives in it: the images in their order.
    - A ``.parquet``: the images of the column ``image``, or else of the only one of bytes, or of another that is named,
      as in ``val.parquet#photo``; as bytes, paths or base64.
    - A list (``.txt``, ``.csv``): one path a line, relative to the list; a label may follow it.

    In folders and archives, files with an image's ending count that are not hidden. Images that are passed over are
    told in a warning.

    Args:
        sources: in this order.
        sample: takes so many at random, the same ones whichever way the images are stored.
        seed: of that choice.
        archives: whether those of archives and Parquet files in folders count.

    Raises:
        ToolkitError: when a source can't be read, or there is no image.
    """
    places = [place for source in sources for place in expand(str(source))]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        entries = list(itertools.chain.from_iterable(threads.map(partial(_images, archives=archives), places)))
    if not entries:
        named = " ".join(shown(str(source)) for source in sources)
        raise ToolkitError(f"{named} holds no images, such as .jpg, .png, .webp or .tif files.")
    if sample is not None and sample < len(entries):
        by_name = sorted(range(len(entries)), key=lambda number: entries[number].name)
        entries = [entries[number] for number in sorted(random.Random(seed).sample(by_name, sample))]
    return entries


def _images(place: str, archives: bool = True) -> list[Entry]:
    lower = shown(place).lower()
    try:
        if is_folder(place):
            return _in_folder(place, archives)
        if lower.endswith(LISTS):
            return list(_in_list(place))
        if remedy := REMEDIES.get(PurePosixPath(lower).suffix):
            raise ToolkitError(f"{shown(place)} {remedy}.")
        if not is_remote(place) and read(column_of(place)[0], [(0, len(POINTER))]) == [POINTER]:
            raise DamagedFileError(f"{shown(place)} {IS_POINTER}")
        if parquet.is_parquet(place):
            rows = attempt(place, lambda: parquet.rows(place))
            return [Entry(_text(name), place, (group, row)) for name, group, row in rows]
        return _in_archive(place)
    except FileNotFoundError as error:
        raise ToolkitError(f"There is no folder or archive {shown(place)}: name one that holds images.") from error
    except OSError as error:
        raise ToolkitError(f"Could not read {shown(place)}: {error.strerror or error}.") from error


def _in_folder(folder: str, archives: bool) -> list[Entry]:
    if is_remote(folder):
        base = folder.rstrip("/") + "/"
        files = {place.removeprefix(base): place for place in in_remote_folder(folder)}
    else:
        files = {str(path.relative_to(folder)): str(path) for path in sorted(_files(Path(folder)))}
    images = [Entry(_text(name), place) for name, place in files.items() if _counts(name)]
    shards = [place for name, place in files.items() if name.lower().endswith(SHARDS) and not _hidden(name)]
    entries = [*images, *(entry for place in shards if archives for entry in _images(place))]
    if not entries and (
        other := [place for name, place in files.items() if PurePosixPath(name.lower()).suffix in REMEDIES]
    ):
        return _images(other[0])  # which says what to do with it
    return entries


def _files(folder: Path) -> Iterator[Path]:
    """Follows links to folders, visiting each folder once: links may form a circle. Hidden folders are left out."""

    def pass_over(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise error
        reason = f"{shown(str(error.filename))} can't be read and is passed over: {error.strerror}."
        warnings.warn(reason, ToolkitWarning, stacklevel=2)

    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=pass_over):
        real = Path(root).stat()
        if (real.st_dev, real.st_ino) in seen:
            folders.clear()
            continue
        seen.add((real.st_dev, real.st_ino))
        folders[:] = [name for name in folders if not _hidden(name)]
        yield from (Path(root, name) for name in files)


def _in_list(place: str) -> Iterator[Entry]:
    content = attempt(place, lambda: read_whole(place)) if is_remote(place) else read_whole(place)
    try:
        lines = [line.strip() for line in decoded(content).splitlines() if line.strip() and not line.startswith("#")]
        names = list(_in_table(lines) if shown(place).lower().endswith(".csv") else map(_without_label, lines))
    except (UnicodeDecodeError, csv.Error) as error:
        remedy = "write them as text in UTF-8, one on each line."
        raise ToolkitError(f"{shown(place)} is not a list of paths: {remedy}") from error
    for name in names:
        path = beside(place, name)
        if "\\" in name and not os.path.lexists(path):  # written on Windows
            path = beside(place, name := name.replace("\\", "/"))
        yield Entry(_text(name), path)


def _in_table(lines: Iterable[str]) -> Iterator[str]:
    """The first cell of each row that names an image; the first row may name the columns."""
    for number, cells in enumerate(csv.reader(lines)):
        images = [cell for cell in cells if _is_image(cell)]
        if images or number:
            yield (images or cells)[0]


def _without_label(line: str) -> str:
    """``val/1.JPEG 65`` without the number; a name may hold spaces."""
    path = line.rsplit(maxsplit=1)[0]
    return path if _is_image(path) and not _is_image(line) else line


def _in_archive(place: str) -> list[Entry]:
    members, loose, broken = tar.listing(place)
    names = {member.name.lower() for member in members}
    masks = [member.name for member in members if _counts(member.name) and _accompanies(member.name, names)]
    archive = shown(place).rpartition("/")[2]
    _pass_over(masks, f"pictures in {archive} accompany others, as masks do in WebDataset")
    _pass_over([name for name in loose if _counts(name)], f"links in {archive} lead to pictures that it does not hold")
    for each in itertools.filterfalse(_hidden, broken):
        name = _text(str(PurePosixPath(archive, each)))
        note = f"{name} is cut short or damaged: images that were in it are missing."
        warnings.warn(note, ToolkitWarning, stacklevel=2)
    counted = (member for member in members if _counts(member.name) and member.name not in masks)
    return [Entry(_text(name), place, (start, size)) for name, start, size in counted]


def _accompanies(name: str, names: Collection[str]) -> bool:
    """Whether a file belongs to an image of the same key, as ``1.seg.png`` does to ``1.jpg`` in WebDataset."""
    folder, _, file = name.lower().rpartition("/")
    key, _, kinds = file.partition(".")
    start = f"{folder}/{key}" if folder else key
    return "." in kinds and any(f"{start}{suffix}" in names for suffix in SUFFIXES)


def _pass_over(names: Sequence[str], what: str) -> None:
    """Says in a warning how many files don't count, why, and which they are."""
    if names:
        some = ", ".join(map(_text, names[:3])) + (", …" if len(names) > 3 else "")
        warnings.warn(f"{len(names)} {what}, and are passed over: {some}.", ToolkitWarning, stacklevel=2)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _counts(name: str) -> bool:
    """Whether a file is an image, and neither hidden nor one of those that macOS adds to archives."""
    return _is_image(name) and not _hidden(name)


def _hidden(name: str) -> bool:
    return any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _text(name: str) -> str:
    """A file's name as text, which not every name is."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
