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
ITERATION_SHARES = {
    1: (1.0,),
    2: (0.25, 0.75),
    3: (0.4, 0.3, 0.3),
    4: (0.3, 0.3, 0.25, 0.15),
    5: (0.3, 0.25, 0.2, 0.15, 0.1),
    6: (0.3, 0.25, 0.2, 0.1, 0.1, 0.05),
}

#: The same with a finish, which needs forms that are there: its level is the last, or all after the second.
FINISHED_SHARES = {**ITERATION_SHARES, 2: (0.6, 0.4), 3: (0.42, 0.26, 0.32)}
FORM_LEVELS = 2

#: With a finish, the content weight relative to the recipe's own: while forms are found, and then, when they stay.
FORMS_CONTENT, FINISH_CONTENT = 4.0, 0.7

#: Share of the iterations that find forms where there is one level alone.
FORM_SHARE = 0.7

#: Iterations of the finish for which neighbours are kept, about; and how often they are found on a level, at most.
KEPT, SEARCHES = 8, 6

#: Pixels of a level's shorter side, at least: smaller ones hold no form worth finding.
MIN_SHORT_SIDE = 32

#: Sides of a seamless image are multiples of this, the stride of the deepest layer: no pooling may drop an edge.
SEAMLESS = 32

#: Share of the last level's iterations that ``mixed`` makes in bfloat16, which misleads only near the end.
BFLOAT16_SHARE = 0.85

#: Contrast of the noise that a synthesis may start from. The network averages fine noise away, so nothing removes it.
NOISE = 0.1


StagePrecision = Literal["float32", "bfloat16"]


class Stage(NamedTuple):
    """Iterations at one level, of (height, width), in one arithmetic. A level may have several stages.

    ``with_finish``: whether neighbours are found at its start, and compared with. ``content_factor``: the content
    weight, relative to the recipe's own.
    """

    size: tuple[int, int]
    precision: StagePrecision
    iterations: int
    with_finish: bool = False
    content_factor: float = 1.0


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
    [(96, 128), (192, 256), (384, 512), (384, 512), (768, 1024)]

    Args:
        recipe: size, levels, iterations, precision.
        proportions: (height, width) of an image whose proportions the result has.
        native_bfloat16: whether the device computes in bfloat16.
    """
    sizes = [size_of(proportions, recipe.size >> n, recipe.seamless) for n in reversed(range(recipe.levels))]
    while len(sizes) > 1 and (
        max(sizes[0]) < recipe.coarsest or min(sizes[0]) < MIN_SHORT_SIDE or recipe.iterations < 2 * len(sizes)
    ):
        sizes.pop(0)
    finishes = recipe.finish > 0 and bool(recipe.layer_weights[1])
    shares = (FINISHED_SHARES if finishes else ITERATION_SHARES)[len(sizes)]
    counts = [max(1, round(recipe.iterations * share)) for share in shares]
    counts[-1] = recipe.iterations - sum(counts[:-1])
    mixed = recipe.precision == "mixed" and recipe.synthesis == "transfer" and native_bfloat16
    precision: StagePrecision = "bfloat16" if mixed or recipe.precision == "bfloat16" else "float32"
    planned = []
    for number, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        last = number == len(sizes) - 1
        forms = count
        if finishes and (last or number >= FORM_LEVELS):
            forms = round(count * FORM_SHARE) if len(sizes) == 1 else 0
        searches = min(SEARCHES, max(1, round((count - forms) / KEPT)))
        parts = [(forms, False), *((share, True) for share in _divided(count - forms, searches))]
        if last and mixed and forms == count:
            rounded = int(count * BFLOAT16_SHARE)
            parts = [(rounded, False), (count - rounded, False)]
        for iterations, with_finish in parts:
            factor = (FINISH_CONTENT if with_finish else FORMS_CONTENT) if finishes else 1.0
            planned += [Stage(size, precision, iterations, with_finish, factor)] if iterations else []
    return [*planned[:-1], planned[-1]._replace(precision="float32")] if mixed else planned


def _divided(count: int, parts: int) -> list[int]:
    """A number in about equal parts."""
    return [count * (part + 1) // parts - count * part // parts for part in range(parts)]


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
