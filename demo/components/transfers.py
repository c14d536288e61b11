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
from .study_progress import within_limits


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


def small_study(
    context: Context,
    job: Job,
    axis: Axis,
    content: str | None,
    style: str | None,
    more_styles: list[str],
    regions: dict[str, Any] | None,
    style_parts: list[str],
    network: str,
    **fields: Any,
) -> Study:
    """Small pictures along an axis, from the controls' values."""
    set_by_axis = set().union(*(each.fields for each in axis.variations))
    kept = {name: value for name, value in fields.items() if value != "" and name not in set_by_axis}
    images = _images(opened_with_alpha(content, "content"), style, more_styles, regions, style_parts)
    recipe = Recipe.preset("transfer", **kept, **SMALL)
    study = Study(context.network(network), recipe, axis, **images, device=job.device)
    return within_limits(study, context)


def synthesis_of(
    context: Context,
    device: str,
    content: str | None,
    style: str | None,
    more_styles: list[str],
    regions: dict[str, Any] | None,
    style_parts: list[str],
    network: str,
    start_image: Tensor | None = None,
    **fields: Any,
) -> tuple[Synthesis, Tensor]:
    """A transfer from the controls' values, and its content image. Empty texts stand for the usual values."""
    before = opened_with_alpha(content, "content")
    images = _images(before, style, more_styles, regions, style_parts)
    recipe = Recipe.preset("transfer", **{name: value for name, value in fields.items() if value != ""})
    synthesis = Synthesis(context.network(network), recipe, **images, start=start_image, device=device)
    return synthesis, before


def _images(
    content: Tensor, style: str | None, more_styles: list[str], regions: dict[str, Any] | None, style_parts: list[str]
) -> dict[str, Any]:
    """What a transfer is made from; of a content image with alpha, its colours."""
    styles = opened_styles(style, more_styles)
    where = masks(regions, len(styles))
    return {
        "content": content[:, :3],
        "styles": styles,
        "masks": where,
        "style_masks": style_masks(style_parts) if where else [],
    }
