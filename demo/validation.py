"""Checks what visitors send before a tab sees it."""

import math
from collections.abc import Callable
from typing import Any

import gradio as gr

from .gradio_internals import declare_files
from .jobs import log_fault

#: Longest text in characters where the field has no limit of its own: no list of layers or values needs more.
MAX_TEXT = 1000


def check(field: Any, value: Any) -> Any:
    """The value to use for a component: within its limits, and its default when nothing was sent.

    Raises:
        gr.Error: when the value cannot be used.
    """
    return CHECKS.get(type(field), lambda _, other: declare_files(other))(field, value)


def explain(endpoint: str, error: Exception) -> gr.Error:
    """Logs an unforeseen error, and returns the sentence to show in its place."""
    number = log_fault(endpoint, error)
    return _refusal(
        f"This request could not be used: send images as files, and a value for every input (log {number})."
    )


def _number(field: Any, value: Any) -> float:
    try:
        number = float(field.value if value is None else value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _refusal(f"{field.label} must be a number.")
    least = -math.inf if field.minimum is None else field.minimum
    most = math.inf if field.maximum is None else field.maximum
    return min(max(number, least), most)


def _choice(field: Any, value: Any) -> Any:
    return field.value if value in (None, "") else _one_of(field, value)


def _choices(field: Any, values: Any) -> list[Any]:
    if not isinstance(values, list | type(None)):
        raise _refusal(f"{field.label} must be a list.")
    return field.value if values is None else [_one_of(field, value) for value in values]


def _one_of(field: Any, value: Any) -> Any:
    choices = [choice for _, choice in field.choices]
    if value not in choices:
        raise _refusal(f"{field.label} cannot be {str(value)[:40]!r}: choose one of {', '.join(map(str, choices))}.")
    return value


def _text(field: Any, value: Any) -> str:
    text = str(field.value if value is None else value)
    longest = field.max_length or MAX_TEXT
    if len(text) > longest:
        raise _refusal(f"{field.label} is too long: use at most {longest:,} characters.")
    return text


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


#: By type of component. The toolkit opens images, with its own checks.
CHECKS: dict[type, Callable[[Any, Any], Any]] = {
    gr.Slider: _number,
    gr.Number: _number,
    gr.Dropdown: _choice,
    gr.Radio: _choice,
    gr.CheckboxGroup: _choices,
    gr.Textbox: _text,
}
