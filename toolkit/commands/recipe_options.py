"""Options made from the recipe's fields: their names, help, choices and defaults are said in ``Recipe`` alone."""

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

from ..errors import ToolkitError
from ..files import read_text
from ..pictures.formats import read_recipe
from ..synthesis import Recipe
from ..synthesis.fields import describe
from ..synthesis.recipe import Group, SynthesisName

#: Headings of the groups in ``--help``.
GROUPS = {group: group for group in get_args(Group)}


def add_recipe_options(
    parser: argparse.ArgumentParser, defaults: Recipe, groups: Collection[str] = tuple(GROUPS)
) -> None:
    """Adds ``--recipe`` and an option for each field of the recipe in some groups.

    Args:
        parser: to add to.
        defaults: what ``--help`` shows as defaults.
        groups: of the fields.
    """
    parser.add_argument(
        "--recipe", type=Path, metavar="FILE", help="take the recipe from a picture of ours or a JSON file"
    )
    headings = {group: parser.add_argument_group(title) for group, title in GROUPS.items() if group in groups}
    for name, field in describe(defaults).items():
        if field.group not in headings:
            continue
        more: dict[str, Any] = {"metavar": name.rpartition("_")[2].upper()}
        if isinstance(field.value, bool):
            more = {"action": argparse.BooleanOptionalAction}
        elif field.choices:
            more = {"choices": field.choices}
        shown = "" if "default" in field.help or field.value == "" else f" (default: {field.value})"
        headings[field.group].add_argument(f"--{name.replace('_', '-')}", default=None, help=field.help + shown, **more)


def chosen_recipe(arguments: argparse.Namespace, synthesis: SynthesisName, **usual: Any) -> Recipe:
    """The recipe that the options ask for: that of ``--recipe``, else the preset, with the fields that were named.

    Args:
        arguments: with the options of ``add_recipe_options``.
        synthesis: what is to be made.
        usual: fields that differ from the preset when there is no ``--recipe``.

    Raises:
        ToolkitError: when a field is out of range, or the recipe can't be read or is another synthesis'.
    """
    named = {
        name: value
        for name in Recipe.model_fields
        if name != "synthesis" and (value := getattr(arguments, name, None)) is not None
    }
    if arguments.recipe is None:
        return Recipe.preset(synthesis, **{**usual, **named})
    recipe = Recipe.checked(recipe_text(arguments.recipe))
    if recipe.synthesis != synthesis:
        raise ToolkitError(f"{arguments.recipe} is the recipe of a {recipe.synthesis}: make that, not a {synthesis}.")
    return recipe.with_(**named)


def recipe_text(path: Path) -> str:
    """The JSON of a recipe, out of a picture of ours or a JSON file.

    Raises:
        ToolkitError: when it can't be read, or the picture holds none.
    """
    return read_text(path) if path.suffix.lower() == ".json" else read_recipe(path)
