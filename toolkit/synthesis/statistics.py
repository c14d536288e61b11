"""Style statistics: what is compared between the style images and the result.

A style statistic is a function of two small things, the mean m = F 1 / M (C) and the Gram matrix G = F Fᵀ / M (C, C) of
a layer's features F (C, M). Both come from sums over positions, so they add up over parts of an image, and a mask
weights them. A statistic returns its value with dL/dm and dL/dG; the gradient in F is always
(2 dL/dG F + dL/dm 1ᵀ) / M. A new statistic is one such function and its line in ``STATISTICS``.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """The mean (C) and the Gram matrix (C, C) of a layer's features; or a loss's derivatives in them."""

    mean: Tensor
    gram: Tensor


#: (of the result, of the style images) -> the loss, (), and its derivatives.
Statistic = Callable[[Moments, Moments], tuple[Tensor, Moments]]


def gram(found: Moments, target: Moments) -> tuple[Tensor, Moments]:
    """Mean of (G - A)² (Gatys, Ecker & Bethge 2016, equations 3 to 6, as a mean of squares)."""
    difference = found.gram - target.gram
    return difference.square().mean(), Moments(torch.zeros_like(found.mean), difference * (2 / difference.numel()))


STATISTICS: dict[str, Statistic] = {"gram": gram}


def moment_sums(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """Sums over positions from which the moments follow; those of parts of an image add up.

    Args:
        features: (1, C, h, w).
        guide: (1, 1, h, w), how much each position counts; 1 for each when there is none.

    Returns:
        (C + 1, C + 1), float32 at least: F Fᵀ, beside it and below it F 1, in the corner M.
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


def products(left: Tensor, right: Tensor) -> Tensor:
    """Of every filter of one with every filter of the other, summed over positions: (1, C, h, w) each -> (C, C).

    It is what a 1 x 1 convolution's weights get for a gradient; on a CPU oneDNN computes it faster than MKL does the
    matrix product.
    """
    if left.device.type == "cpu" and left.dtype != torch.float64:
        weight = left.new_empty(left.shape[1], right.shape[1], 1, 1)
        only_weight = [False, True, False]
        found = torch.ops.aten.convolution_backward(
            left, right, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, only_weight
        )[1]
        return found[:, :, 0, 0]
    rows, columns = (each.permute(0, 2, 3, 1).reshape(-1, each.shape[1]) for each in (left, right))
    return rows.mT @ columns
