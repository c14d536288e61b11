"""The exception and the warning that are meant for a person, and words for them."""

import difflib
import importlib
import re
import reprlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

#: Pydantic's words, and plainer ones.
PLAIN = {
    "Input should be": "must be",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "Field required": "must be given",
    "Extra inputs are not permitted": "is unknown",
}


class ToolkitError(Exception):
    """Something a person can put right; its text is one sentence that says what was wrong and what to do.

    ``field``: the field of a job that mends it, where there is one.
    """

    field = ""


class InputError(ToolkitError):
    """A field is missing, unknown, out of range or at odds with another."""

    def __init__(self, sentence: str, field: str) -> None:
        super().__init__(sentence)
        self.field = field

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """For the way from one process to another."""
        return type(self), (str(self), self.field)

    @classmethod
    def of(cls, error: "ErrorDetails") -> Self:
        """What pydantic found wrong with a field."""
        told = in_plain_words(error, "it")
        return cls(f"{told[0].upper()}{told[1:]}.", str(next(iter(error["loc"]), "")))


class MissingFileError(ToolkitError):
    """A file that was named is not there."""


class DamagedFileError(ToolkitError):
    """A file can't be read, or is not what it should be."""


class WriteError(ToolkitError):
    """A result can't be written where it was to be."""

    field = "output"


class DeviceError(ToolkitError):
    """This machine has no such device."""

    field = "device"


class TooLargeError(ToolkitError):
    """A job takes more memory than it may."""

    field = "memory"


class ToolkitWarning(UserWarning):
    """Something a person should know; its text is a sentence."""


def imported(module: str, remedy: str) -> Any:
    """A module of a package that not everybody has.

    Raises:
        ToolkitError: where it is not installed; its text is the remedy.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ToolkitError(remedy) from error


def in_words(field: str) -> str:
    """A field's name at the beginning of a sentence."""
    return field.rstrip("_").replace("_", " ").capitalize()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to append to "unknown …": the nearest of the known names, or all of them when none is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"choose among {', '.join(known)}."


def in_plain_words(error: "ErrorDetails", name: str = "") -> str:
    """What pydantic found wrong, without a full stop.

    >>> in_plain_words({"type": "less_than", "loc": ("seed",), "msg": "Input should be less than 9", "input": 12})
    'seed must be less than 9, not 12'

    Args:
        error: one of a ``ValidationError``.
        name: of the whole, for an error that is in none of its fields.
    """
    field, *within = error["loc"] or ("",)
    parts = (f"value {part + 1}" if isinstance(part, int) else part for part in within)
    named = ": ".join([str(field).rstrip("_").replace("_", " "), *parts]) or name
    if error["type"] in ("value_error", "json_invalid"):  # these say it all
        message = error["msg"].removeprefix("Value error, ")
        return f"{named}: {message}" if error["loc"] else message
    message = re.sub(", (unable|got) .*", "", error["msg"])
    value = f", not {reprlib.repr(error['input'])}" if message.startswith("Input should be") else ""
    for words, plain in PLAIN.items():
        message = message.replace(words, plain)
    return f"{named} {message}{value}"
