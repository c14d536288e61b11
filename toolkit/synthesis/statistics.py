"""Style statistics: what is compared between the style images and the result.

A style statistic is a function of two small things, the mean m = F 1 / M (C) and the Gram matrix G = F Fᵀ / M (C, C) of
a layer's features F (C, M). Both come from sums over positions, so they add up over parts of an image, and a mask
weights them. From the target's it makes a distance: a function of the result's, which gives its value, dL/dm and the
symmetric dL/dG. The gradient in F is always (2 dL/dG F + dL/dm 1ᵀ) / M. A new statistic is one such function, named in
``StatisticName``, ``STATISTICS`` and ``SCALES``. ``sliced`` alone is no function of sums: it has its own module.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..device import products

StatisticName = Literal["gram", "moments", "wasserstein", "sliced"]


class Moments(NamedTuple):
    """The mean (C) and the Gram matrix (C, C) of a layer's features; or the derivatives of a loss in the two."""

    mean: Tensor
    gram: Tensor


#: The result's moments -> the loss, (), and its derivatives.
Distance = Callable[[Moments], tuple[Tensor, Moments]]

#: The style images' moments -> the distance from them.
Statistic = Callable[[Moments], Distance]


def gram(target: Moments) -> Distance:
    """Mean of (G - A)² (Gatys, Ecker & Bethge 2016, equations 3 to 6, as a mean of squares)."""

    def distance(found: Moments) -> tuple[Tensor, Moments]:
        difference = found.gram - target.gram
        slope = difference * (2 / difference.numel())
        return difference.square().mean(), Moments(torch.zeros_like(found.mean), slope)

    return distance


def moment_sums(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """Sums over positions from which the moments follow; those of parts of an image add up.

    Args:
        features: (1, C, h, w).
        guide: (1, 1, h, w), how much each position counts; 1 each when there is none.

    Returns:
        (C + 1, C + 1), float32 at least: F Fᵀ, beside it and below it F 1, in the corner M. With a guide g they are
        F diag(g) Fᵀ, F g and the sum of g.
    """
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    features = features.contiguous(memory_format=torch.channels_last)
    guided = features if guide is None else features * guide.to(features.dtype)
    sums = features.new_zeros(features.shape[1] + 1, features.shape[1] + 1)
    sums[:-1, :-1] = products(features, guided)
    sums[-1, :-1] = sums[:-1, -1] = guided.sum((0, 2, 3))
    sums[-1, -1] = features[0, 0].numel() if guide is None else guide.sum()
    return sums


def moments(sums: Tensor) -> Moments:
    """The moments (C), (C, C) from their sums (C + 1, C + 1); zeros when there are no positions."""
    means = sums / torch.where(sums[-1, -1] > 0, sums[-1, -1], 1.0)
    return Moments(means[-1, :-1], means[:-1, :-1])
