"""Files that are written whole or not at all, safetensors, and checksums."""

import codecs
import contextlib
import hashlib
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import safetensors
from pydantic import BaseModel, ConfigDict
from safetensors.torch import save_file
from torch import Tensor

from .errors import DamagedFileError, ToolkitError, WriteError

#: How a file begins that stands for another, and what to say of it.
POINTER = b"version https://git-lfs"
IS_POINTER = "is a Git LFS pointer, not the file itself: fetch the file with git lfs pull."


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``. It replaces ``path`` when the block ends well, and is deleted otherwise.

    Raises:
        ToolkitError: when the folder cannot be made or written, or the disk is full.
    """
    place = Path(os.path.realpath(path))  # what a link points to, so that the link stays
    # The start of the name alone: a longer one than the path's may be too long.
    temporary = place.parent / f".{path.stem[:8]}.{secrets.token_hex(4)}{path.suffix}"
    try:
        if place.exists() and not place.is_file():
            raise WriteError(f"{path} is a folder or a device: name a file.")
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        yield temporary
        temporary.replace(place)
    except OSError as error:
        raise WriteError(f"Could not write {path}: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_outputs(outputs: Iterable[Path], sources: Iterable[str] = ()) -> None:
    """Makes sure that files can be written, and that none takes the place of a source or of another one.

    Raises:
        ToolkitError: when one can't, or does.
    """
    outputs = list(outputs)
    check_apart(outputs, sources)
    for path in outputs:
        with contextlib.suppress(_UntouchedError), written_atomically(path):
            raise _UntouchedError


def check_apart(outputs: Iterable[Path], sources: Iterable[str]) -> None:
    """Makes sure that no output takes the place of what it is made from, or of another output.

    Raises:
        ToolkitError: when one does.
    """
    taken = {Path(source).resolve() for source in sources}
    for output in outputs:
        if output.resolve() in taken:
            raise WriteError(f"{output} is also an input or another output: choose a different name.")
        taken.add(output.resolve())


def check_space(path: Path, size: int) -> None:
    """Makes sure that there is room for a file of so many bytes, before any long work.

    Raises:
        ToolkitError: when there isn't.
    """
    free = shutil.disk_usage(path.absolute().parent).free
    if free < size:
        raise WriteError(f"{path} will take {size / 1e6:.0f} MB, but {free / 1e6:.0f} MB are free: make room for it.")


def save_somewhere(path: Path, write: Callable[[Path], None], *, overwrite: bool = True) -> Path:
    """Writes what took long to make: to a path or, where that fails, beside it, to the temporary or the home folder.

    Args:
        path: where it belongs.
        write: writes it to a path, or raises a ``ToolkitError``.
        overwrite: what is there; or else take the first of ``NAME``, ``NAME-2``, ``NAME-3`` … that is free.

    Returns:
        The path.

    Raises:
        ToolkitError: when it is not where it belongs; the sentence says where it is.
    """
    place = path if overwrite else _claimed(path)
    try:
        write(place)
        return place
    except ToolkitError as error:
        if not overwrite:
            place.unlink(missing_ok=True)
        for folder in (path.parent, Path(tempfile.gettempdir()), Path.home()):
            with contextlib.suppress(OSError):
                handle, name = tempfile.mkstemp(prefix=f"{path.stem[:32]}-", suffix=path.suffix, dir=folder)
                os.close(handle)
                try:
                    write(Path(name))
                except ToolkitError:
                    Path(name).unlink()
                else:
                    raise WriteError(f"{error} What was made is in {name}.") from error
        raise


def numbered(path: Path) -> Iterator[Path]:
    """A path, and others beside it: their names are numbered from 2 on."""
    yield path
    yield from (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))


def _claimed(path: Path) -> Path:
    """The first free of the numbered names; an empty file now holds its place, as others may be looking too."""
    for free in numbered(path):
        try:
            free.touch(exist_ok=False)
        except FileExistsError:
            continue
        except OSError:
            pass  # whoever writes there says why it can't be done
        return free
    raise AssertionError


def decoded(content: bytes) -> str:
    """The text in bytes of UTF-8, or of UTF-16 as its byte order mark says, which PowerShell and editors write.

    Raises:
        UnicodeDecodeError: when they are no text.
    """
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not marked and (zero := content.find(0)) >= 0:  # of UTF-16 without a mark, or of no text
        raise UnicodeDecodeError("utf-8", content, zero, zero + 1, "a character of zero")
    return content.decode("utf-16" if marked else "utf-8-sig")


def read_text(path: Path) -> str:
    """The text of a file, as ``decoded`` reads it.

    Raises:
        ToolkitError: when it can't be read, or is no text.
    """
    try:
        return decoded(path.read_bytes())
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} is no text in UTF-8.") from error
    except OSError as error:
        raise ToolkitError(f"Could not read {path}: {error.strerror or error}.") from error


class _UntouchedError(Exception):
    """Ends an atomic write before the file takes its place."""


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file, atomically.

    Raises:
        ToolkitError: when it cannot be written.
    """
    with written_atomically(path) as temporary:
        try:
            save_file(dict(tensors), _in_unicode(temporary), dict(metadata))
        except safetensors.SafetensorError as error:  # how it reports a full disk
            raise OSError(str(error).removeprefix("Error while serializing: I/O error: ")) from error


class Header(BaseModel):
    """The metadata of a safetensors file of ours: strings, those of fields of type ``Json`` hold JSON.

    ``model_validate`` reads them; ``model_construct`` makes them from values.
    """

    model_config = ConfigDict(frozen=True)

    def metadata(self) -> dict[str, str]:
        """The strings."""
        return self.model_dump(mode="json", round_trip=True)


class TensorFile(NamedTuple):
    """What a file of tensors holds: the tensors, on the CPU, and metadata."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def load_tensors(path: Path) -> TensorFile:
    """Reads a safetensors file.

    Raises:
        ToolkitError: when the file cannot be read, or is not a whole safetensors file.
    """
    try:
        with safetensors.safe_open(_in_unicode(path), "pt") as opened:
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            return TensorFile(tensors, dict(opened.metadata() or {}))
    except OSError as error:
        raise ToolkitError(f"Could not read {path}: {error.strerror or error}.") from error
    except safetensors.SafetensorError as error:
        raise DamagedFileError(f"{path} is damaged or cut short: fetch or make it again.") from error


def _in_unicode(path: Path) -> Path:
    """The path, which safetensors wants in Unicode."""
    if any("\ud800" <= letter <= "\udfff" for letter in str(path)):
        raise ToolkitError(f"The name {path} is not in UTF-8, as names of networks must be: rename it or its folder.")
    return path


def sha256(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
