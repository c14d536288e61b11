"""Output streams that ignore broken pipes and full disks; warnings as notes, and messages."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import ToolkitWarning


class Unbroken:
    """A text stream that drops what can't be written: its reader has gone, its disk is full, its terminal was closed.

    Characters that its encoding lacks are written as escapes.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        with contextlib.suppress(AttributeError, ValueError, OSError):  # not a file, or closed
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            self._silence()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._silence()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _silence(self) -> None:
        """Sends what is still to come, Python's own last flush too, nowhere."""
        with contextlib.suppress(AttributeError, OSError, ValueError), Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())


@contextmanager
def unbroken_printing() -> Iterator[None]:
    """Has standard output and errors drop what can't be written."""
    before = sys.stdout, sys.stderr
    # A stream that was closed at the start is given a file to hold its number, or the next file opened would get it.
    sys.stdout, sys.stderr = (Unbroken(stream or Path(os.devnull).open("w")) for stream in before)  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Has every ``ToolkitWarning`` printed as a line ``note: …``."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", ToolkitWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, ToolkitWarning):
                print(f"note: {message}", file=sys.stderr)
            else:
                usual(message, category, *where, **options)

        warnings.showwarning = show
        yield


@contextmanager
def messages_printed() -> Iterator[None]:
    """Has what the toolkit's jobs log printed among the errors, as it stands."""
    log, handler = logging.getLogger(__package__), logging.StreamHandler(sys.stderr)
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
