"""The toolkit's warnings about visitors' files, for the visitors who sent them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from toolkit.errors import ToolkitWarning

#: Who wants to know of which file.
_WANTED: list[tuple[str, list[str]]] = []


@contextmanager
def notes_passed_on() -> Iterator[None]:
    """Has every ``ToolkitWarning`` reach ``notes_on`` as well, for the whole process."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
        if issubclass(category, ToolkitWarning):
            for file, notes in list(_WANTED):
                if file in str(message):
                    notes.append(str(message))
        usual(message, category, *where, **options)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


@contextmanager
def notes_on(file: str) -> Iterator[list[str]]:
    """Gathers the warnings that name a file, whatever thread they come from: a script's job has none of its own."""
    notes: list[str] = []
    _WANTED.append((file, notes))
    try:
        yield notes
    finally:
        _WANTED[:] = [each for each in _WANTED if each[1] is not notes]
