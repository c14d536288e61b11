"""Checks of what visitors send, by the control that they send it with."""

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

import gradio as gr

from toolkit.errors import ToolkitError

from .hosting import FOLDER

#: Longest text in characters where the field has no limit of its own: no list of layers or values needs more.
MAX_TEXT = 1000


class Painting(TypedDict):
    """What an image editor sends."""

    background: gr.FileData | None
    layers: list[gr.FileData]
    composite: gr.FileData | None


class Kind(NamedTuple):
    """How a value of a control is checked, and its type for scripts."""

    check: Callable[[Any, Any], Any]
    type: Callable[[Any], Any]


def checked(control: Any, value: Any) -> Any:
    """The value to use: within the control's limits, and the control's own when nothing was sent.

    Files become the paths of what was uploaded; only an image editor's are opened here.

    Raises:
        ToolkitError: when the value cannot be used.
        ValueError, TypeError, KeyError: when it has a form that the page never sends.
    """
    return KINDS[type(control)].check(control, value)


def type_of(control: Any) -> Any:
    """The Python type of a control's values, as scripts are told it."""
    return KINDS[type(control)].type(control)


def _number(control: Any, value: Any) -> float:
    try:
        number = float(control.value if value is None else value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ToolkitError(f"{control.label} must be a number.")
    least = -math.inf if control.minimum is None else control.minimum
    most = math.inf if control.maximum is None else control.maximum
    within = min(max(number, least), most)
    return round(within) if control.precision == 0 else within


def _choice(control: Any, value: Any) -> Any:
    return control.value if value in (None, "") else _one_of(control, value)


def _choices(control: Any, values: Any) -> list[Any]:
    if not isinstance(values, list | type(None)):
        raise ToolkitError(f"{control.label} must be a list.")
    return control.value if values is None else [_one_of(control, value) for value in values]


def _one_of(control: Any, value: Any) -> Any:
    choices = _offered(control)
    if value not in choices:
        raise ToolkitError(
            f"{control.label} cannot be {str(value)[:40]!r}: choose one of {', '.join(map(str, choices))}."
        )
    return value


def _offered(control: Any) -> list[Any]:
    return [choice for _, choice in control.choices]


def _text(control: Any, value: Any) -> str:
    text = str(control.value if value is None else value)
    longest = control.max_length or MAX_TEXT
    if len(text) > longest:
        raise ToolkitError(f"{control.label} is too long: use at most {longest:,} characters.")
    return text


def _file(_: Any, value: Any) -> str | None:
    """Gradio looks only at paths that are declared to be files; a stranger need not declare them."""
    if value is None:
        return None
    path = value["path"]
    folder = os.environ.get(FOLDER) or Path(tempfile.gettempdir()) / "gradio"
    if not Path(path).resolve().is_relative_to(Path(folder).resolve()):
        raise ValueError(f"{path!r} was not uploaded")
    return str(path)


def _files(control: Any, values: Sequence[Any] | None) -> list[str | None]:
    """Of a gallery, whose items have captions, or of a plain list."""
    if any("video" in value for value in values or []):
        raise ToolkitError(f"{control.label}: send images, not videos.")
    return [_file(control, value.get("image", value)) for value in values or []]


def _painting(control: Any, value: Any) -> Any:
    if value is None:
        return None
    for picture in (value["background"], *value["layers"], value["composite"]):
        _file(control, picture)
    return control.preprocess(control.data_model(**value))  # the editor's own pictures do not come as files


def _whole_or_not(control: Any) -> type:
    return int if control.precision == 0 else float


def _one(control: Any) -> Any:
    return Literal[tuple(_offered(control))]


#: By type of control.
KINDS: dict[type, Kind] = {
    gr.Slider: Kind(_number, _whole_or_not),
    gr.Number: Kind(_number, _whole_or_not),
    gr.Dropdown: Kind(_choice, _one),
    gr.Radio: Kind(_choice, _one),
    gr.CheckboxGroup: Kind(_choices, lambda control: list[_one(control)]),  # type: ignore[misc]
    gr.Textbox: Kind(_text, lambda _: str),
    gr.Image: Kind(_file, lambda _: gr.FileData),
    gr.Video: Kind(_file, lambda _: gr.FileData),
    gr.File: Kind(_file, lambda _: gr.FileData),
    gr.Gallery: Kind(_files, lambda _: list[gr.FileData]),
    gr.ImageEditor: Kind(_painting, lambda _: Painting),
    gr.State: Kind(lambda _, value: value, lambda _: Any),
}
