"""What visitors send, read before a tab sees it; and what goes wrong all the same, put in one sentence."""

import math
from collections.abc import Callable
from typing import Any

import gradio as gr

from .jobs import log_fault

#: Characters of a text.
TEXT = 1000

#: What makes Gradio look whether a path is that of a file which was sent here; it trusts what doesn't say so.
FILE = {"_type": "gradio.FileData"}


class GuardedBlocks(gr.Blocks):
    """Blocks that answer whatever they are sent with a result or with a sentence.

    Gradio shows the message of a ``gr.Error`` and keeps all others to itself, so this is where all become one.
    """

    async def process_api(  # every request comes through here
        self, block_fn: Any, inputs: list[Any], state: Any = None, *more: Any, **named: Any
    ) -> dict[str, Any]:
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        try:
            fields = [state[field._id] if state and field._id in state else field for field in function.inputs]
            read = [READERS.get(type(field), _files)(field, value) for field, value in zip(fields, inputs, strict=True)]
            return await super().process_api(block_fn, read, state, *more, **named)
        except gr.Error:
            raise
        except Exception as error:
            number = log_fault(str(function.api_name), error)
            raise gr.Error(
                f"That could not be used: send pictures as files, and a value for every input ({number} in the log).",
                print_exception=False,
            ) from error


def _number(field: Any, value: Any) -> float:
    """A number within the field's bounds; its usual one when there is none."""
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
    """One of the field's choices; its usual one when there is none."""
    return field.value if value in (None, "") else _listed(field, value)


def _choices(field: Any, values: Any) -> list[Any]:
    """Some of the field's choices; its usual ones when nothing is said of them."""
    if not isinstance(values, list | type(None)):
        raise _refusal(f"{field.label} must be a list.")
    return field.value if values is None else [_listed(field, value) for value in values]


def _listed(field: Any, value: Any) -> Any:
    choices = [choice for _, choice in field.choices]
    if value not in choices:
        raise _refusal(f"{field.label} can't be {str(value)[:40]!r}: choose among {', '.join(map(str, choices))}.")
    return value


def _text(field: Any, value: Any) -> str:
    """A text that is not too long to look through."""
    text = "" if value is None else str(value)
    if len(text) > TEXT:
        raise _refusal(f"{field.label} may have {TEXT:,} characters: send fewer.")
    return text


def _files(field: Any, value: Any) -> Any:
    """Whatever else there is, all that has a path declared to be a file."""
    match value:
        case list():
            return [_files(field, each) for each in value]
        case dict():
            declared = {"meta": FILE} if "path" in value else {}
            return {key: _files(field, each) for key, each in value.items()} | declared
        case _:
            return value


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


#: How to read what is sent for a field. Pictures are opened by the toolkit.
READERS: dict[type, Callable[[Any, Any], Any]] = {
    gr.Slider: _number,
    gr.Number: _number,
    gr.Dropdown: _choice,
    gr.Radio: _choice,
    gr.CheckboxGroup: _choices,
    gr.Textbox: _text,
}
