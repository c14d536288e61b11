"""Files by path or by address (https://, hf://, s3://), read in parts."""

import glob
import os
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import fsspec
from fsspec.utils import merge_offset_ranges

from ..errors import ToolkitError

#: Seconds before each new try of a request over http; the libraries behind other addresses try again by themselves.
WAITS = (0.5, 2.0, 8.0)

#: What lies less than this apart, in bytes, is fetched in one piece: a request takes longer than reading it.
GAP = 1 << 16

#: Errors that a new try would meet again, unless a failing connection caused them.
LASTING = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError, TypeError)

#: HTTP's statuses of the kind "your request is wrong" that may pass nevertheless.
PASSING = (408, 425, 429)

T = TypeVar("T")


def is_remote(place: str) -> bool:
    """Whether a place is an address, not a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", place) is not None


def shown(place: str) -> str:
    """A place as it may be printed and kept: without passwords, signatures and what is no text.

    >>> shown("https://me:secret@example.org/data.tar?signature=1")
    'https://example.org/data.tar'
    """
    if is_remote(place):
        parts = urlsplit(place)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return os.fsencode(place).decode("utf-8", "backslashreplace")


def named(*places: str) -> str:
    """What to call places in a file that others will read: addresses whole, of paths the last part."""
    return " ".join(shown(place if is_remote(place) else Path(place).absolute().name) for place in places)


def column_of(place: str) -> tuple[str, str | None]:
    """A Parquet file's place without the column that is named after it, and that column, if any.

    >>> column_of("val.parquet#photo")
    ('val.parquet', 'photo')
    """
    match = re.fullmatch(r"(.+\.parquet(?:\?[^#]*)?)#([^/]+)", place, re.IGNORECASE)
    return (match[1], match[2]) if match else (place, None)


def beside(place: str, name: str) -> str:
    """The place of a name that is given relative to a file."""
    if is_remote(name) or Path(name).is_absolute():
        return name
    return f"{place.rpartition('/')[0]}/{name}" if is_remote(place) else str(Path(place).parent / name)


def expand(pattern: str) -> list[str]:
    """The places that a pattern stands for, in order: ``{00..63}`` counts, ``{a,b}`` lists, ``*`` matches.

    >>> expand("shard-{08..10}.tar")
    ['shard-08.tar', 'shard-09.tar', 'shard-10.tar']

    Raises:
        ToolkitError: when nothing matches.
    """
    file, column = column_of(pattern)
    if column:
        return [f"{place}#{column}" for place in expand(file)]
    if not is_remote(pattern):
        pattern = os.path.expanduser(pattern)  # noqa: PTH111 - a folder may be called ~old
        if os.path.lexists(pattern):
            return [pattern]
    places: list[str] = []
    for place in _braces(pattern):
        if not any(mark in place for mark in ("*" if is_remote(place) else "*?[")):
            places.append(place)
        elif matching := sorted(_matching(place)):
            places += matching
        else:
            raise ToolkitError(f"Nothing matches {shown(place)}: name a folder, an archive or a list of images.")
    return places


def _braces(pattern: str) -> list[str]:
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    if numbers := re.fullmatch(r"(\d+)\.\.(\d+)", match[1]):
        first, last = numbers.groups()
        choices = [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    else:
        choices = match[1].split(",")
    start, end = pattern[: match.start()], pattern[match.end() :]
    return [place for choice in choices for place in _braces(start + choice + end)]


def _matching(pattern: str) -> list[str]:
    if not is_remote(pattern):
        return glob.glob(pattern, recursive=True)  # noqa: PTH207 - it takes absolute patterns too
    files, path = _file_system(pattern)
    return attempt(pattern, lambda: [files.unstrip_protocol(name) for name in files.glob(path)])


def is_folder(place: str) -> bool:
    """Whether a place is a folder."""
    if not is_remote(place):
        return Path(place).is_dir()
    if place.startswith("http"):  # the web has no folders
        return False
    files, path = _file_system(place)
    return bool(attempt(place, lambda: files.isdir(path)))


def in_remote_folder(place: str) -> list[str]:
    """All files in a folder elsewhere and its subfolders, sorted."""
    files, path = _file_system(place)
    return sorted(attempt(place, lambda: [files.unstrip_protocol(name) for name in files.find(path)]))


@contextmanager
def opened(place: str, block: int = 0) -> Iterator[BinaryIO]:
    """A place as a file in which one can seek; elsewhere ``block`` bytes are fetched at least, or else what is read."""
    if not is_remote(place):
        with open(place, "rb") as file:  # noqa: PTH123
            yield file
        return
    files, path = _file_system(place)
    cache = {"block_size": block, "cache_type": "readahead"} if block else {"cache_type": "none"}
    with attempt(place, lambda: files.open(path, "rb", **cache)) as file:
        if place.startswith("http") and hasattr(file, "cache"):  # not where a server gives whole files only
            fetch = file.cache.fetcher
            file.cache.fetcher = lambda start, stop: attempt(place, lambda: fetch(start, stop))
        yield file


def read(place: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """Parts of a file, each from a first byte up to another; neighbours are fetched together.

    Returns:
        The parts in the order of ``spans``; one is shorter when the file ends within it.
    """
    if not is_remote(place):
        with open(place, "rb") as file:  # noqa: PTH123
            return [(file.seek(start), file.read(stop - start))[1] for start, stop in spans]
    files, path = _file_system(place)
    starts, stops = (list(bounds) for bounds in zip(*spans, strict=True))
    _, starts, stops = merge_offset_ranges([path] * len(spans), starts, stops, max_gap=GAP)
    pieces = [(start, files.cat_file(path, start, stop)) for start, stop in zip(starts, stops, strict=True)]

    def part(start: int, stop: int) -> bytes:
        first, content = pieces[bisect_right(starts, start) - 1]
        return bytes(content[start - first : stop - first])

    return [part(start, stop) for start, stop in spans]


def read_whole(place: str) -> bytes:
    """All of a file."""
    if not is_remote(place):
        return Path(place).read_bytes()
    files, path = _file_system(place)
    return bytes(files.cat_file(path))


def attempt(place: str, action: Callable[[], T]) -> T:
    """Does something with a place; over http, what failed is tried again after a while.

    Raises:
        ToolkitError: when it keeps failing, or failed for a reason that will last.
    """
    for wait in (*(WAITS if place.startswith("http") else ()), None):
        try:
            return action()
        except ToolkitError:
            raise
        except Exception as error:  # each of the libraries behind fsspec has errors of its own
            if wait is None or not _passes(error):
                raise ToolkitError(f"{shown(place)} could not be read: {_reason(place, error)}.") from error
            time.sleep(wait)
    raise AssertionError


def _passes(error: Exception) -> bool:
    status = _status(error)
    if status is not None:
        return status >= 500 or status in PASSING
    return not isinstance(error, LASTING) or error.__cause__ is not None


def _reason(place: str, error: Exception) -> str:
    status = _status(error)
    if status in (401, 403):
        token = "set HF_TOKEN to a token that may read it" if place.startswith("hf:") else "check your access to it"
        return f"the server refuses it ({status}); {token}"
    if status == 404 or isinstance(error, FileNotFoundError):
        hidden = ", or only with a token in HF_TOKEN" if place.startswith("hf:") else ""
        return f"there is no such file or folder{hidden}"
    if "range requests" in str(error):
        return "its server gives whole files only, not parts of them; download it first"
    if isinstance(error, ValueError):
        return str(error).splitlines()[0].rstrip(".")
    return getattr(error, "strerror", None) or f"the connection broke ({type(error).__name__})"


def _status(error: BaseException | None) -> int | None:
    """The HTTP status behind an error, if there is one."""
    while error is not None:
        response = getattr(error, "response", None)
        status = getattr(error, "status", None) or getattr(response, "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


def _file_system(place: str) -> tuple[Any, str]:
    try:
        files, path = fsspec.core.url_to_fs(place)
    except ImportError as error:
        raise ToolkitError(f'Reading {shown(place)} takes more packages: pip install "normalized-vgg[hub]".') from error
    except ValueError as error:
        raise ToolkitError(f"{shown(place)} is no address that can be read: use https://, hf:// or s3://.") from error
    return files, path
