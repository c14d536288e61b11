"""Style statistics: what is compared between the style images and the result.

A style statistic is a function of two small things, the mean m = F 1 / M (C) and the Gram matrix G = F Fᵀ / M (C, C) of
a layer's features F (C, M). Both come from sums over positions, so they add up over parts of an image, and a mask
weights them. Given the target moments, it returns a function of the result's moments that gives the loss, dL/dm and the
symmetric dL/dG. The gradient with respect to F is always (2 dL/dG F + dL/dm 1ᵀ) / M. ``sliced`` alone is no function of
sums: it has its own module.

A new statistic is one such function. It is named in ``StatisticName`` (choices) and ``STATISTICS`` (style); for the
page in demo/components/choices.py; and, if it can be exported, in ``SUMMARIES`` (export/graphs.py).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Sums(NamedTuple):
    """Sums over a layer's positions: F 1 (C), F Fᵀ (C, C), and their number M (); with a guide, weighted by it."""

    of_features: Tensor
    of_products: Tensor
    positions: Tensor


class Moments(NamedTuple):
    """The mean (C) and the Gram matrix (C, C) of a layer's features."""

    mean: Tensor
    gram: Tensor


class Slope(NamedTuple):
    """The derivatives of a loss with respect to the moments: dL/dm (C), and the symmetric dL/dG (C, C)."""

    mean: Tensor
    gram: Tensor


#: The result's moments -> the loss, (), and its derivatives.
Distance = Callable[[Moments], tuple[Tensor, Slope]]


def gram(target: Moments) -> Distance:
    """Mean of (G - A)² (Gatys, Ecker & Bethge 2016, equations 3 to 6, as a mean of squares)."""

    def distance(moments: Moments) -> tuple[Tensor, Slope]:
        difference = moments.gram - target.gram
        slope = difference * (2 / difference.numel())
        return difference.square().mean(), Slope(torch.zeros_like(moments.mean), slope)

    return distance


def moment_sums(features: Tensor, guide: Tensor | None = None) -> Sums:
    """Sums over positions from which the moments follow, float32 at least; those of parts of an image add up.

    Args:
        features: (1, C, h, w).
        guide: (1, 1, h, w), how much each position counts; 1 each when there is none.
    """
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    features = features.contiguous(memory_format=torch.channels_last)
    guided = features if guide is None else features * guide.to(features.dtype)
    positions = features.new_full((), features[0, 0].numel()) if guide is None else guide.sum().to(features.dtype)
    return Sums(guided.sum((0, 2, 3)), products(features, guided), positions)


def moments(sums: Sums) -> Moments:
    """The moments from their sums; zeros when there are no positions."""
    positions = torch.where(sums.positions > 0, sums.positions, 1.0)
    return Moments(sums.of_features / positions, sums.of_products / positions)


def blended(sums: Sequence[Sums], shares: Sequence[float]) -> Moments:
    """The mean of several images' moments, each by its share; shares add up to one."""
    parts = [
        Moments(share * own.of_features / own.positions, share * own.of_products / own.positions)
        for share, own in zip(shares, sums, strict=True)
    ]
    return Moments(*(torch.stack(tensors).sum(0) for tensors in zip(*parts, strict=True)))


def products(left: Tensor, right: Tensor) -> Tensor:
    """Sums over positions of each filter of ``left`` times each of ``right``: (1, C, h, w) each -> (C, C).

    On a CPU they are computed as the gradient of a 1 x 1 convolution with respect to its weights, for which oneDNN is
    faster than the matrix product.
    """
    if left.device.type == "cpu" and left.dtype != torch.float64:
        weight = left.new_empty(left.shape[1], right.shape[1], 1, 1)
        only_weight = [False, True, False]
        gradient = torch.ops.aten.convolution_backward(
            left, right, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, only_weight
        )[1]
        return gradient[:, :, 0, 0]
    rows, columns = (features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]) for features in (left, right))
    return rows.mT @ columns
