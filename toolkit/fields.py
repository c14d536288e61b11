"""Fields of models that people fill in, and all that a command line or a form needs to know of each."""

import importlib.util
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from .choices import PHOTOGRAPHS

Kind = Literal["switch", "choice", "integer", "number", "text"]

KINDS: dict[type, Kind] = {bool: "switch", int: "integer", float: "number"}

#: What limits a field, and pydantic's name of it.
LIMITS: dict[type, str] = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt", MinLen: "min_length", MaxLen: "max_length"}

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class Described(NamedTuple):
    """What people may choose, and how it is shown.

    ``many``: whether it takes several values. ``limits``: by pydantic's names, such as ``ge``. ``default``: ``None``
    where there is none. ``within``: whether it is a field of a model within the model, such as a recipe's.
    """

    name: str
    kind: Kind
    many: bool
    choices: tuple[Any, ...]
    limits: dict[str, float]
    required: bool
    default: Any
    help: str
    group: str
    shown: Mapping[str, Any]
    within: bool


def field(
    default: Any,
    help: str,
    group: str = "",
    *,
    metavar: str | None = None,
    short: str | None = None,
    positional: bool = False,
    groups: tuple[str, ...] = (),
    **limits: Any,
) -> Any:
    """A field that people fill in; those without help are not shown to them.

    Args:
        default: ``...`` when it must be given.
        help: what it is, in a few words.
        group: the heading under which it is shown.
        metavar: what stands for its value on a command line.
        short: a letter that names it there.
        positional: whether it goes without a name there.
        groups: of a model within the model, those whose fields are shown.
        limits: as pydantic's ``Field`` takes them.
    """
    shown: Any = {"group": group, "metavar": metavar, "short": short, "positional": positional, "groups": groups}
    return Field(default, description=help, json_schema_extra=shown, **limits)


def described(model: type[BaseModel], values: BaseModel | None = None) -> Iterator[Described]:
    """The fields of a model in their order, with an instance's values for defaults; after a model in it, its fields.

    >>> from toolkit.synthesis import Recipe
    >>> next(field for field in described(Recipe) if field.name == "size").limits
    {'ge': 16, 'le': 16384}
    """
    for name, info in model.model_fields.items():
        if not info.description:
            continue
        annotation, metadata = _unwrapped(info.annotation)
        metadata = [*metadata, *info.metadata]
        many = get_origin(annotation) is tuple and not any(isinstance(each, BeforeValidator) for each in metadata)
        item, _ = _unwrapped(get_args(annotation)[0]) if many else (annotation, ())
        choices = get_args(item) if get_origin(item) is Literal else ()
        extra: Any = info.json_schema_extra or {}
        default = getattr(values, name) if values else None if info.is_required() else info.get_default()
        yield Described(
            name,
            "choice" if choices else KINDS.get(item, "text"),
            many,
            choices,
            {LIMITS[type(each)]: getattr(each, LIMITS[type(each)]) for each in metadata if type(each) in LIMITS},
            info.is_required(),
            default,
            info.description,
            extra.get("group", ""),
            extra,
            values is not None,
        )
        if isinstance(info.default, BaseModel):
            inner = described(type(info.default), info.default)
            yield from (each for each in inner if each.group in extra["groups"])


def _unwrapped(annotation: Any) -> tuple[Any, list[Any]]:
    """A type without ``None`` and ``Annotated``, and what was annotated."""
    if get_origin(annotation) in (Union, types.UnionType):
        present = [each for each in get_args(annotation) if each is not type(None)]
        return _unwrapped(present[0]) if len(present) == 1 else (annotation, [])
    if get_origin(annotation) is Annotated:
        inner, metadata = _unwrapped(get_args(annotation)[0])
        return inner, [*metadata, *get_args(annotation)[1:]]
    return annotation, []


def _names(value: Any) -> Any:
    return tuple(name for part in value.split(",") if (name := part.strip())) if isinstance(value, str) else value


def _bytes(value: Any) -> Any:
    """``4GB``, ``600 MB`` or a number of bytes."""
    if not isinstance(value, str):
        return value
    plain = value.replace(" ", "").upper()
    number = plain.rstrip("KMGB")
    try:
        size = int(float(number) * UNITS[plain[len(number) :]])
    except (ValueError, KeyError, OverflowError):
        size = 0
    if size < 1:
        raise ValueError(f"{value!r} is no size such as 4GB or 600MB")
    return size


def _sides(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    width, _, height = value.partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 16):
        raise ValueError(f"{value!r} is no size such as 512x384, from 16x16 on")
    return int(width), int(height)


def _colour(text: str) -> str:
    from PIL import ImageColor

    try:
        ImageColor.getrgb(text)
    except ValueError:
        raise ValueError(f"{text!r} is no colour such as grey or #808080") from None
    return text


def _photograph(name: str) -> str:
    """The path of an example photograph, where nothing of the user's bears its name."""
    found = importlib.util.find_spec("skimage") if name in PHOTOGRAPHS and not Path(name).exists() else None
    return str(Path(found.origin).parent / "data" / PHOTOGRAPHS[name]) if found and found.origin else name


#: The path of a picture, or the name of an example photograph.
Photograph = Annotated[str, AfterValidator(_photograph)]

#: Names separated by commas.
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]

#: A number of bytes, or a text such as 4GB.
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]

#: Width and height in pixels, or a text such as 512x384.
Sides = Annotated[tuple[int, int], BeforeValidator(_sides)]

#: The name of a colour, or ``#rrggbb``.
ColourName = Annotated[str, AfterValidator(_colour)]
