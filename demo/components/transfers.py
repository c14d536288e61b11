"""Transfers from the values of the transfer tab's controls."""

from pathlib import Path
from typing import Any

from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.pictures.formats import read_recipe
from toolkit.studies import Axis, Study
from toolkit.synthesis import MadeFrom, Recipe, Synthesis, made_from_in

from ..context import Context
from ..jobs import Job
from .four_ways import SMALL
from .images import opened, opened_with_alpha
from .regions import STYLES, masks, style_masks

#: Names of the inputs that are images.
IMAGES = ("content", "style", "more_styles", "regions", "style_parts")


def recipe_of(path: str) -> tuple[Recipe, MadeFrom | None]:
    """The recipe in a picture, and what it was made from.

    Raises:
        ToolkitError: when there is none, or the picture is gone.
    """
    try:
        with Path(path).open("rb") as file:
            text = read_recipe(file)
        return Recipe.checked(text), made_from_in(text)
    except OSError as error:
        raise ToolkitError("This picture is no longer on the server: make it again.") from error


def opened_styles(style: str | None, more_styles: list[str]) -> list[Tensor]:
    """The style images, (1, 3, h, w) each; of too many the first.

    Raises:
        ToolkitError: when one cannot be read.
    """
    return [opened(path, "style") for path in [style, *more_styles[: STYLES - 1]]]


def small_study(context: Context, job: Job, axis: Axis, network: str, **values: Any) -> Study:
    """Small pictures along an axis, from the controls' values by name."""
    images, fields = _images_and_fields(values)
    set_by_axis = set().union(*(each.fields for each in axis.variations))
    kept = {name: value for name, value in fields.items() if name not in set_by_axis}
    recipe = Recipe.preset("transfer", **kept, **context.settings.within(**SMALL))
    images["content"] = images["content"][:, :3]
    return Study(context.network(network), recipe, axis, **images, device=job.device)


def synthesis_of(
    context: Context, device: str, network: str, start_image: Tensor | None = None, **values: Any
) -> tuple[Synthesis, Tensor]:
    """A transfer from the controls' values by name, and its content image, perhaps with its alpha."""
    images, fields = _images_and_fields(values)
    before = images.pop("content")
    recipe = Recipe.preset("transfer", **fields)
    synthesis = Synthesis(
        context.network(network), recipe, content=before[:, :3], **images, start=start_image, device=device
    )
    return synthesis, before


def _images_and_fields(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The images that a transfer is made from, and its recipe's fields: an empty text stands for the usual value."""
    fields = dict(values)
    content, style, more_styles, regions, style_parts = map(fields.pop, IMAGES)
    before, styles = opened_with_alpha(content, "content"), opened_styles(style, more_styles)
    where = masks(regions, len(styles))
    images = {
        "content": before,
        "styles": styles,
        "masks": where,
        "style_masks": style_masks(style_parts) if where else [],
    }
    return images, {name: value for name, value in fields.items() if value != ""}
