"""A transfer's settings as text: a link that opens the page with them, and a recipe that was pasted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from toolkit.errors import ToolkitError
from toolkit.synthesis import MadeFrom, Recipe, made_from_in
from toolkit.synthesis.notation import as_text

from ..context import Context
from .choices import FIELDS, STARTS
from .controls import DEFAULTS


def shown(context: Context, recipe: Recipe, made_from: MadeFrom | None = None) -> dict[str, Any]:
    """The controls' values by field, and the network's name, for a recipe; within this host's limits.

    Raises:
        ToolkitError: when it is not a transfer's.
    """
    if recipe.synthesis != "transfer":
        raise ToolkitError(f"This is the recipe of a {recipe.synthesis}, not of a transfer.")
    limited = context.settings.within(recipe.size, recipe.iterations)
    start = recipe.start if recipe.start in STARTS else DEFAULTS.start
    made_by = context.name_of(made_from.network) if made_from else None
    fields = {name: as_text(getattr(recipe, name)) for name in FIELDS}
    return fields | limited | {"start": start, "network": made_by or context.default}


def query(context: Context, content: str | None, style: str | None, network: str, fields: Mapping[str, Any]) -> str:
    """The part of a link after ``?``: the example images that are in use, and what differs from the usual settings.

    A visitor's own images stay with the visitor.
    """
    chosen = {"content": example(context.photographs, content), "style": example(context.paintings, style)}
    usual = {name: as_text(getattr(DEFAULTS, name)) for name in fields}
    differing = {name: value for name, value in fields.items() if value not in ("", None, usual[name])}
    named = {} if network == context.default else {"network": network}
    examples = {role: name for role, name in chosen.items() if name}
    return urlencode({**examples, **named, **differing})


def is_link(text: str) -> bool:
    """Whether the part of an address from ``?`` on says anything of settings; a page's address may say other things."""
    names = {name for name, _ in parse_qsl(text.removeprefix("?"))}
    return not names.isdisjoint({*FIELDS, "content", "style", "network"})


def read(context: Context, text: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Reads a link, the part of it after ``?``, or a recipe.

    Returns:
        The example images that it names, as paths by role, and the controls' values.

    Raises:
        ToolkitError: when it is none of these, or a value is out of range.
    """
    text = text.strip()
    if text.startswith("{"):
        return {}, shown(context, Recipe.checked(text), made_from_in(text))
    values = dict(parse_qsl(urlsplit(text).query if "?" in text else text))
    by_role = {"content": context.photographs, "style": context.paintings}
    names = {role: values.pop(role, None) for role in by_role}
    images = {role: path for role, paths in by_role.items() for path in paths if Path(path).stem == names[role]}
    network = values.pop("network", context.default)
    if unknown := sorted(set(values) - set(FIELDS)):
        raise ToolkitError(f"This is neither a link to this page nor a recipe: it says {unknown[0][:40]!r}.")
    if not (values or images or network != context.default):
        raise ToolkitError("Paste a link to this page, or a recipe.")
    context.network(network)
    return images, shown(context, Recipe.preset("transfer", **values)) | {"network": network}


def example(paths: Sequence[str], path: str | None) -> str | None:
    """The name of an example image; Gradio keeps the file's name in its copies."""
    stem = Path(path).stem if path else None
    return stem if stem in {Path(each).stem for each in paths} else None
