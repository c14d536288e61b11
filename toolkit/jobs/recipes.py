"""The recipe of a job: a synthesis' own, or out of a picture or a file, with fields of one's own."""

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..fields import field
from ..synthesis.recipe import Group, Recipe, SynthesisName


def recipe_field(synthesis: SynthesisName, groups: tuple[Group, ...], **usual: Any) -> Any:
    """A job's field for a recipe; the recipe's own fields in these groups are shown with the job's."""
    help = "take the recipe from a picture of ours or a JSON file"
    return field(Recipe.preset(synthesis, **usual), help, metavar="FILE", groups=groups)


def with_recipe(
    fields: dict[str, Any], synthesis: SynthesisName, usual: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A job's fields with a recipe in place of the recipe's fields among them.

    Args:
        fields: of a job; ``recipe`` may be one, or name a picture of ours or a JSON file.
        synthesis: what is to be made.
        usual: fields that differ from the synthesis' own where no recipe is given.

    Raises:
        ToolkitError: when a field is out of range, or the recipe can't be read or is another synthesis'.
    """
    named = {name: fields[name] for name in Recipe.model_fields if name in fields and name != "synthesis"}
    others = {name: value for name, value in fields.items() if name not in named}
    source = fields.get("recipe")
    if source is None:
        return {**others, "recipe": Recipe.preset(synthesis, **{**(usual or {}), **named})}
    recipe = source if isinstance(source, Recipe) else Recipe.checked(recipe_text(Path(source)))
    if recipe.synthesis != synthesis:
        raise InputError(f"{source} is the recipe of a {recipe.synthesis}: make that, not a {synthesis}.", "recipe")
    return {**others, "recipe": recipe.with_(**named)}


def recipe_text(path: Path) -> str:
    """The JSON of a recipe, out of a picture of ours or a JSON file.

    Raises:
        ToolkitError: when it can't be read, or the picture holds none.
    """
    from ..files import read_text
    from ..pictures.formats import read_recipe

    return read_text(path) if path.suffix.lower() == ".json" else read_recipe(path)
