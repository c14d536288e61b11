"""Coarse to fine: large forms are found at small sizes, where an iteration costs little (Gatys et al. 2017)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import ToolkitError
from ..pictures.io import cover, resize
from .recipe import Recipe

#: By number of levels, each level's share of the iterations, from the coarsest on.
SHARES = {1: (1.0,), 2: (0.25, 0.75), 3: (0.4, 0.3, 0.3), 4: (0.3, 0.3, 0.25, 0.15)}

#: Longest and shortest side of the coarsest level in pixels, at least: smaller ones hold no form worth finding.
LEAST_LONGEST, LEAST_SHORTEST = 256, 32

#: Sides of a seamless image are multiples of this, the stride of the deepest layer: no pooling may drop an edge.
SEAMLESS = 32

#: Share of the last level's iterations that ``mixed`` makes in bfloat16, which misleads only near the end.
ROUGH = 0.85

#: Contrast of the noise that a synthesis may start from. The network averages fine noise away, so nothing removes it.
NOISE = 0.1


class Stage(NamedTuple):
    """Iterations of one size, (height, width), in one arithmetic."""

    frame: tuple[int, int]
    precision: Literal["float32", "bfloat16"]
    iterations: int


def frame_of(image: Tensor, longest: int, seamless: bool = False) -> tuple[int, int]:
    """(height, width) in an image's proportions, with that longest side in pixels; of a seamless one, nearly so."""
    step = SEAMLESS if seamless else 1
    longest = max(1, round(longest / step))
    height, width = image.shape[-2:]
    side = max(height, width)
    return step * max(1, round(height * longest / side)), step * max(1, round(width * longest / side))


def stages(recipe: Recipe, image: Tensor, native_bfloat16: bool) -> list[Stage]:
    """A recipe's stages: its levels from coarse to fine, each in the arithmetic that serves it.

    Levels that would be too small, or have less than two iterations, are left out.

    A transfer in ``mixed`` precision is computed in bfloat16 where the device does so natively, and ends in float32.
    The other syntheses need float32 throughout.

    >>> [stage.frame for stage in stages(Recipe.preset("transfer", size=1024), torch.zeros(1, 3, 30, 40), False)]
    [(192, 256), (384, 512), (768, 1024)]

    Args:
        recipe: size, levels, iterations, precision.
        image: the result has its proportions.
        native_bfloat16: whether the device computes in bfloat16.
    """
    frames = [frame_of(image, recipe.size >> n, recipe.seamless) for n in reversed(range(recipe.levels))]
    while len(frames) > 1 and (
        max(frames[0]) < LEAST_LONGEST or min(frames[0]) < LEAST_SHORTEST or recipe.iterations < 2 * len(frames)
    ):
        frames.pop(0)
    counts = [max(1, round(recipe.iterations * share)) for share in SHARES[len(frames)]]
    counts[-1] = recipe.iterations - sum(counts[:-1])
    if recipe.precision != "mixed":
        return [Stage(frame, recipe.precision, count) for frame, count in zip(frames, counts, strict=True)]
    if recipe.synthesis != "transfer" or not native_bfloat16:
        return [Stage(frame, "float32", count) for frame, count in zip(frames, counts, strict=True)]
    rough = int(counts[-1] * ROUGH)
    coarse = [Stage(frame, "bfloat16", count) for frame, count in zip(frames, [*counts[:-1], rough], strict=True)]
    return [stage for stage in (*coarse, Stage(frames[-1], "float32", counts[-1] - rough)) if stage.iterations]


def start_image(
    recipe: Recipe, frame: tuple[int, int], content: Tensor | None, styles: Sequence[Tensor], start: Tensor | None
) -> Tensor:
    """The image that an optimisation begins with, (1, 3, height, width) in [0, 1].

    Raises:
        ToolkitError: when the recipe starts from an image that is not there.
    """
    match recipe.start:
        case "noise":
            noise = torch.rand(1, 3, *frame, generator=torch.Generator().manual_seed(recipe.seed))
            return 0.5 + NOISE * (noise - 0.5)
        case "grey":
            return torch.full((1, 3, *frame), 0.5)
        case "content" | "style" | "image":
            given = {"content": content, "style": styles[0] if styles else None, "image": start}[recipe.start]
            if given is None:
                which = "start" if recipe.start == "image" else recipe.start
                raise ToolkitError(f"The recipe starts from the {which} image, but there is none: name it.")
            return cover(given, frame)


def enlarged(image: Tensor, detailed: Tensor) -> Tensor:
    """An image of a coarser level, enlarged, with the detail that another image has beyond that level.

    up(image) + detailed - up(down(detailed)). Without the detail fine structure would have to be found again.

    Args:
        image: (1, 3, h, w).
        detailed: (1, 3, H, W), what an optimisation of that size alone would begin with.
    """
    small, large = ((each.shape[-2], each.shape[-1]) for each in (image, detailed))
    result = resize(image, large)
    for channel, detail in zip(result.split(1, 1), detailed.split(1, 1), strict=True):  # for little memory
        channel += detail
        channel -= resize(resize(detail, small), large)
    return result.clamp_(0, 1)
