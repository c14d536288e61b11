"""Coarse to fine: large forms are found at small sizes, where an iteration costs little (Gatys et al. 2017)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import ToolkitError
from ..pictures.io import cover, resize
from .inputs import Inputs
from .recipe import Recipe

#: By number of levels, each level's share of the iterations, from the coarsest on.
ITERATION_SHARES = {1: (1.0,), 2: (0.25, 0.75), 3: (0.4, 0.3, 0.3), 4: (0.3, 0.3, 0.25, 0.15)}

#: Pixels of the coarsest level's longer and shorter side, at least: smaller ones hold no form worth finding.
MIN_LONG_SIDE, MIN_SHORT_SIDE = 256, 32

#: Sides of a seamless image are multiples of this, the stride of the deepest layer: no pooling may drop an edge.
SEAMLESS = 32

#: Share of the last level's iterations that ``mixed`` makes in bfloat16, which misleads only near the end.
BFLOAT16_SHARE = 0.85

#: Contrast of the noise that a synthesis may start from. The network averages fine noise away, so nothing removes it.
NOISE = 0.1


class Stage(NamedTuple):
    """Iterations at one level, of (height, width), in one arithmetic. A level may have several stages."""

    size: tuple[int, int]
    precision: Literal["float32", "bfloat16"]
    iterations: int


def size_of(proportions: Sequence[int], longest: int, seamless: bool = False) -> tuple[int, int]:
    """(height, width) in these proportions, with that longest side in pixels; of a seamless image, nearly so."""
    step = SEAMLESS if seamless else 1
    longest = max(1, round(longest / step))
    height, width = proportions[-2:]
    side = max(height, width)
    return step * max(1, round(height * longest / side)), step * max(1, round(width * longest / side))


def stages(recipe: Recipe, proportions: tuple[int, int], native_bfloat16: bool) -> list[Stage]:
    """A recipe's stages: its levels from coarse to fine, each in the arithmetic that serves it.

    Levels that would be too small, or have less than two iterations, are left out.

    A transfer in ``mixed`` precision is computed in bfloat16 where the device does so natively, and ends in float32.
    The other syntheses need float32 throughout.

    >>> [stage.size for stage in stages(Recipe.preset("transfer", size=1024), (30, 40), False)]
    [(192, 256), (384, 512), (768, 1024)]

    Args:
        recipe: size, levels, iterations, precision.
        proportions: (height, width) of an image whose proportions the result has.
        native_bfloat16: whether the device computes in bfloat16.
    """
    sizes = [size_of(proportions, recipe.size >> n, recipe.seamless) for n in reversed(range(recipe.levels))]
    while len(sizes) > 1 and (
        max(sizes[0]) < MIN_LONG_SIDE or min(sizes[0]) < MIN_SHORT_SIDE or recipe.iterations < 2 * len(sizes)
    ):
        sizes.pop(0)
    counts = [max(1, round(recipe.iterations * share)) for share in ITERATION_SHARES[len(sizes)]]
    counts[-1] = recipe.iterations - sum(counts[:-1])
    if recipe.precision != "mixed":
        return [Stage(size, recipe.precision, count) for size, count in zip(sizes, counts, strict=True)]
    if recipe.synthesis != "transfer" or not native_bfloat16:
        return [Stage(size, "float32", count) for size, count in zip(sizes, counts, strict=True)]
    first = int(counts[-1] * BFLOAT16_SHARE)
    rounded = [Stage(size, "bfloat16", count) for size, count in zip(sizes, [*counts[:-1], first], strict=True)]
    return [stage for stage in (*rounded, Stage(sizes[-1], "float32", counts[-1] - first)) if stage.iterations]


def start_image(recipe: Recipe, size: tuple[int, int], inputs: Inputs) -> Tensor:
    """The image that an optimisation begins with, (1, 3, height, width) in [0, 1].

    Raises:
        ToolkitError: when the recipe starts from an image that is not there.
    """
    match recipe.start:
        case "noise":
            noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(recipe.seed))
            return 0.5 + NOISE * (noise - 0.5)
        case "grey":
            return torch.full((1, 3, *size), 0.5)
        case "content" | "style" | "image":
            style = inputs.styles[0] if inputs.styles else None
            given = {"content": inputs.content, "style": style, "image": inputs.start}[recipe.start]
            if given is None:
                which = "start" if recipe.start == "image" else recipe.start
                raise ToolkitError(f"The recipe starts from the {which} image, but there is none: name it.")
            return cover(given, size)


def enlarged(image: Tensor, detailed: Tensor) -> Tensor:
    """An image of a coarser level, enlarged, with the detail that another image has beyond that level.

    up(image) + detailed - up(down(detailed)). Without the detail fine structure would have to be found again.

    Args:
        image: (1, 3, h, w).
        detailed: (1, 3, H, W), what an optimisation of that size alone would begin with.
    """
    small, large = ((tensor.shape[-2], tensor.shape[-1]) for tensor in (image, detailed))
    result = resize(image, large)
    for channel, detail in zip(result.split(1, 1), detailed.split(1, 1), strict=True):  # for little memory
        channel += detail
        channel -= resize(resize(detail, small), large)
    return result.clamp_(0, 1)
