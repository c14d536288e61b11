"""What a recipe's fields are, for the command line's options and the page's controls."""

from typing import Any, NamedTuple, get_args

from .notation import format_layers
from .recipe import Recipe

#: What pydantic calls the limits of a number.
SIGNS = ("ge", "gt", "le")


class FieldDescription(NamedTuple):
    """One field: its value as a person writes it, the words that it may be, if any, its limits, help and group."""

    value: Any
    choices: tuple[str, ...]
    least: float | None
    most: float | None
    help: str
    group: str


def describe(recipe: Recipe) -> dict[str, FieldDescription]:
    """The fields that a person may choose, by name, with the recipe's values.

    >>> describe(Recipe.preset("transfer"))["size"].least
    16
    """
    described = {}
    for name, field in Recipe.model_fields.items():
        if isinstance(field.json_schema_extra, dict):
            words = tuple(word for word in get_args(field.annotation) if isinstance(word, str))
            limits = {sign: getattr(rule, sign) for rule in field.metadata for sign in SIGNS if hasattr(rule, sign)}
            described[name] = FieldDescription(
                as_text(getattr(recipe, name)),
                words,
                limits.get("ge", limits.get("gt")),
                limits.get("le"),
                str(field.description),
                str(field.json_schema_extra["group"]),
            )
    return described


def as_text(value: Any) -> Any:
    """A field's value as a person writes it.

    >>> as_text({"relu1_1": 0.5, "relu2_1": 0.5}), as_text((1.0, 3.0)), as_text("noise")
    ('relu1_1, relu2_1', '1, 3', 'noise')
    """
    match value:
        case dict():
            return format_layers(value)
        case tuple():
            return ", ".join(f"{weight:g}" for weight in value)
        case _:
            return value
