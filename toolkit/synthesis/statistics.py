"""Style statistics: what is compared between the style images and the result.

A style statistic is a function of two small things, the mean m = F 1 / M (C) and the Gram matrix G = F Fᵀ / M (C, C) of
a layer's features F (C, M). Both come from sums over positions, so they add up over parts of an image, and a mask
weights them. A statistic returns its value with dL/dm and the symmetric dL/dG; the gradient in F is always
(2 dL/dG F + dL/dm 1ᵀ) / M. A new statistic is one such function, named in ``StatisticName``, ``STATISTICS`` and
``SCALES``.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

StatisticName = Literal["gram", "moments", "wasserstein"]

#: Added to covariances, as a share of the style's mean variance, so that their roots can be inverted.
RIDGE = 1e-4


class Moments(NamedTuple):
    """The mean (C) and the Gram matrix (C, C) of a layer's features; or the derivatives of a loss in the two."""

    mean: Tensor
    gram: Tensor


#: (of the result, of the style images) -> the loss, (), and its derivatives.
Statistic = Callable[[Moments, Moments], tuple[Tensor, Moments]]


def gram(found: Moments, target: Moments) -> tuple[Tensor, Moments]:
    """Mean of (G - A)² (Gatys, Ecker & Bethge 2016, equations 3 to 6, as a mean of squares)."""
    difference = found.gram - target.gram
    return difference.square().mean(), Moments(torch.zeros_like(found.mean), difference * (2 / difference.numel()))


def covariance_and_mean(found: Moments, target: Moments) -> tuple[Tensor, Moments]:
    """Mean of (m - m')² plus mean of (S - S')², with the covariance S = G - m mᵀ."""
    mean, covariance = found.mean - target.mean, _covariance(found) - _covariance(target)
    value = mean.square().mean() + covariance.square().mean()
    slope = covariance * (2 / covariance.numel())
    return value, _in_moments(found, mean * (2 / mean.numel()), slope)


def wasserstein(found: Moments, target: Moments) -> tuple[Tensor, Moments]:
    """The squared Wasserstein distance of the Gaussians with these moments, over C.

    |m - m'|² + tr S + tr S' - 2 tr (R S R)^(1/2) with R = S'^(1/2), and dL/dS = I - R (R S R)^(-1/2) R (Bures; see
    Bhatia, Jain & Lim 2019, equations 3 and 33). Roots are taken in float64 on the CPU.
    """
    count, like = len(found.mean), found.gram
    mean = found.mean - target.mean
    ours, theirs = (_covariance(each).to("cpu", torch.float64) for each in (found, target))
    identity = torch.eye(count, dtype=torch.float64)
    ridge = RIDGE * (theirs.trace() / count).clamp(min=torch.finfo(torch.float32).tiny) * identity
    ours, theirs = ours + ridge, theirs + ridge
    root = _root(theirs)[0]
    middle, inverse = _root(root @ ours @ root)
    value = mean.square().sum() + (ours.trace() + theirs.trace() - 2 * middle.trace()).to(like)
    slope = (identity - root @ inverse @ root).to(like)
    return value / count, _in_moments(found, mean * (2 / count), slope / count)


STATISTICS: dict[StatisticName, Statistic] = {
    "gram": gram,
    "moments": covariance_and_mean,
    "wasserstein": wasserstein,
}

#: With these factors one style weight keeps as much of the content by any of them.
SCALES: dict[StatisticName, float] = {"gram": 1.0, "moments": 1.6, "wasserstein": 0.74}


def _covariance(moments: Moments) -> Tensor:
    return moments.gram - torch.outer(moments.mean, moments.mean)


def _in_moments(found: Moments, mean: Tensor, covariance: Tensor) -> Moments:
    """Derivatives in the mean and in the covariance G - m mᵀ -> derivatives in the mean and in G."""
    return Moments(mean - 2 * covariance @ found.mean, covariance)


def _root(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The root of a symmetric matrix, and the root's inverse; eigenvalues that rounding made negative count as tiny."""
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    roots = values.clamp(min=values[-1].clamp(min=1e-30) * torch.finfo(matrix.dtype).eps).sqrt()
    return (vectors * roots) @ vectors.mT, (vectors / roots) @ vectors.mT


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


def products(left: Tensor, right: Tensor) -> Tensor:
    """Sums over positions of each filter of ``left`` times each of ``right``: (1, C, h, w) each -> (C, C).

    On a CPU they are computed as the gradient of a 1 x 1 convolution in its weights, for which oneDNN is faster than
    the matrix product.
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
