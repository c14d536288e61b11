"""Files in tar archives, found by the archive's headers alone and read where they lie."""

import bz2
import gzip
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from ..errors import ToolkitError
from .remote import is_remote, opened, read, shown

#: Elsewhere, so many bytes are fetched for a header: three blocks of the format, as a long name or a time takes.
BLOCK = 3 * 512

#: How compressed files begin, and what reads them.
COMPRESSED: dict[bytes, Callable[[str], BinaryIO]] = {
    b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
    b"BZh": bz2.open,  # type: ignore[dict-item]
    b"\xfd7zXZ": lzma.open,  # type: ignore[dict-item]
}

#: What these raise when a file is damaged.
DAMAGED = (EOFError, lzma.LZMAError, zlib.error)


class Member(NamedTuple):
    """A file in an archive: its name, its first byte, and how many it has."""

    name: str
    start: int
    size: int


class Listing(NamedTuple):
    """What an archive holds: its files in their order, and the names of links to what it does not hold.

    ``broken``: the names of archives that are cut short or damaged, in it or itself (``.``).
    """

    members: list[Member]
    loose: list[str]
    broken: list[str]


def listing(place: str) -> Listing:
    """The files in an archive, and in archives inside it, as far as they go. Links within it are followed.

    Raises:
        ToolkitError: when it is no tar, or is compressed and elsewhere.
        OSError: when it can't be read.
    """
    unpack = _unpacker(place)
    try:
        with unpack(place) if unpack else opened(place, BLOCK) as file:
            return _listing(file, PurePosixPath(), 0)
    except (tarfile.ReadError, *DAMAGED) as error:
        raise ToolkitError(
            f"{shown(place)} is neither a folder, a list, a .parquet nor a whole .tar: name one of them."
        ) from error


def contents(place: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """As ``remote.read``; a compressed archive is read as a stream, so the spans should ascend from call to call."""
    if _unpacker(place) is None:
        return read(place, spans)
    stream = _stream(place)
    try:
        return [(stream.seek(start), stream.read(stop - start))[1] for start, stop in spans]
    except DAMAGED as error:
        raise OSError("it is cut short or damaged") from error


def _listing(file: BinaryIO, folder: PurePosixPath, base: int) -> Listing:
    members: list[Member | None] = []  # None: a link, until its target is known, which may come after it
    loose, broken = list[str](), list[str]()
    files: dict[str, Member] = {}
    links: dict[str, tuple[int, str]] = {}  # to the place among the members, and the target
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                name, path = folder / member.name, posixpath.normpath(member.name)
                inside = archive.extractfile(member) if member.isfile() and path.lower().endswith(".tar") else None
                if inside is not None:
                    nested = _listing(inside, name.with_suffix(""), base + member.offset_data)  # type: ignore[arg-type]
                    members += nested.members
                    loose += nested.loose
                    broken += nested.broken
                elif member.isfile():
                    files[path] = Member(str(name), base + member.offset_data, member.size)
                    members.append(files[path])
                elif member.issym() or member.islnk():
                    beside = posixpath.dirname(path) if member.issym() else ""
                    links[path] = len(members), posixpath.normpath(posixpath.join(beside, member.linkname))
                    members.append(None)
            file.seek(archive.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # what stands where the end should be is no header
                broken.append(str(folder))
    except tarfile.ReadError as error:
        if not folder.parts and "unexpected end" not in str(error):
            raise
        broken.append(str(folder))
    for path, (number, target) in links.items():
        passed = {path}
        while target in links and target not in passed:
            passed.add(target)
            target = links[target][1]
        if target in files:
            members[number] = files[target]._replace(name=str(folder / path))
        else:
            loose.append(str(folder / path))
    return Listing([member for member in members if member is not None], loose, broken)


def _unpacker(place: str) -> Callable[[str], BinaryIO] | None:
    """What reads a compressed archive here; ``None`` for one that isn't compressed."""
    if is_remote(place):
        if shown(place).lower().endswith((".gz", ".tgz", ".bz2", ".xz")):
            raise ToolkitError(f"{shown(place)} is compressed, so it can't be read in parts: download it first.")
        return None
    with Path(place).open("rb") as file:
        start = file.read(8)
    return next((unpack for magic, unpack in COMPRESSED.items() if start.startswith(magic)), None)


@lru_cache(maxsize=1)
def _stream(place: str) -> BinaryIO:
    """A compressed archive, kept open: to go back means to start again."""
    unpack = _unpacker(place)
    assert unpack is not None
    return unpack(place)
