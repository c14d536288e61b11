"""Options and their help, made from the fields of a model such as a job."""

import argparse
import re
from typing import Any

from pydantic import BaseModel

from ..errors import ToolkitError, in_words
from ..fields import Described, described
from ..synthesis.notation import format_layers


def flag(name: str) -> str:
    """The option of a field."""
    return f"--{name.rstrip('_').replace('_', '-')}"  # Python keeps some words to itself


def add_options(parser: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    """Adds an option or a position for each field; only those that are named are in what it parses."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for field in described(model):
        if field.group and field.group not in groups:
            groups[field.group] = parser.add_argument_group(field.group)
        target = groups.get(field.group, parser)
        how: dict[str, Any] = {"help": _help(field).replace("%", "%%"), "default": argparse.SUPPRESS}
        how |= _form(field)
        if field.shown.get("positional"):
            target.add_argument(field.name, **how)
        else:
            short = [f"-{field.shown['short']}"] if field.shown.get("short") else []
            target.add_argument(flag(field.name), *short, required=field.required, dest=field.name, **how)


def _form(field: Described) -> dict[str, Any]:
    """How the values of a field are written."""
    if field.kind == "switch":  # one within a recipe may be on already
        return {"action": argparse.BooleanOptionalAction if field.within else "store_true"}
    form: dict[str, Any] = {"metavar": field.shown.get("metavar")}
    if field.choices:
        form = {"choices": field.choices, "type": type(field.choices[0])}
    elif field.within:
        form = {"metavar": field.name.rpartition("_")[2].upper()}
    if field.many:
        least, most = field.limits.get("min_length"), field.limits.get("max_length")
        form["nargs"] = 1 if most == 1 else "+" if least or not field.shown.get("positional") else "*"
    return form


def _help(field: Described) -> str:
    """The help of a field with its default, unless that is told or there is none."""
    shown = field.default
    if shown in (None, (), "", {}) or "default" in field.help or (shown is False and not field.within):
        return field.help
    if isinstance(shown, dict):
        shown = format_layers(shown)
    elif isinstance(shown, bool):
        shown = "on" if shown else "off"
    elif isinstance(shown, tuple):
        sides = all(isinstance(each, int) for each in shown)
        shown = (" " if field.many else "x" if sides else ",").join(map(str, shown))
    return f"{field.help} (default: {shown})"


def told(error: ToolkitError, model: type[BaseModel]) -> str:
    """What was wrong, with the option that mends it."""
    options = {field.name for field in described(model) if not field.shown.get("positional")}
    if error.field not in options:
        return f"error: {error}"
    sentence, named = str(error), in_words(error.field)
    if re.match(rf"{named}\b", sentence):
        return f"error: {flag(error.field)}{sentence.removeprefix(named)}"
    return f"error: {sentence} See {flag(error.field)}."
