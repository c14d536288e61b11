"""Suggested masks of regions, and the files to correct them in."""

import itertools
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..files import written_atomically
from ..network import Backbone
from ..pictures.io import to_picture
from ..synthesis import Inputs, Recipe, Region, suggest_regions


def in_regions(count: int, network: Backbone, recipe: Recipe, inputs: Inputs) -> tuple[Recipe, Inputs, list[Region]]:
    """A transfer's recipe and its inputs, divided into regions.

    Raises:
        InputError: when there are masks already.
    """
    if inputs.masks or inputs.style_masks:
        raise InputError("The regions have masks of their own: leave out masks and style masks.", "regions")
    inputs.check(recipe)
    assert inputs.content is not None
    regions = suggest_regions(network, inputs.content, inputs.styles, count, recipe.seed)
    if recipe.style_image_weights:
        weights = [recipe.style_image_weights[region.style] for region in regions]
        recipe = recipe.with_(style_image_weights=weights)
    divided = replace(
        inputs,
        styles=[inputs.styles[region.style] for region in regions],
        masks=[region.mask for region in regions],
        style_masks=[region.part for region in regions],
    )
    return recipe, divided, regions


def save_regions(regions: Sequence[Region], output: Path, styles: Sequence[str]) -> str:
    """Writes the masks of regions into a new folder beside the output; returns how to paint with corrected ones."""
    name = f"{output.stem}-regions"
    numbered = (output.with_name(f"{name}-{number}") for number in itertools.count(2))
    folder = next(path for path in itertools.chain([output.with_name(name)], numbered) if not path.exists())
    for number, region in enumerate(regions, 1):
        for kind, mask in (("mask", region.mask), ("style-mask", region.part)):
            with written_atomically(folder / f"{kind}-{number}.png") as temporary:
                to_picture(mask.expand(1, 3, -1, -1)).convert("L").save(temporary, format="PNG")
    order, place = shlex.join(styles[region.style] for region in regions), shlex.quote(str(folder))
    return (
        f"regions written to {folder}. To correct them, change the masks and name the styles in this order:\n"
        f"  {order} --masks {place}/mask-*.png --style-masks {place}/style-mask-*.png"
    )
