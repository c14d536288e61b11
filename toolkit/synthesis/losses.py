"""Content, style and total variation: each one's value and its gradient, in closed form.

Features are those of one image, (1, C, h, w), with N = C filters and M = h w positions. Every function gives the
loss itself, and the gradient of ``weight`` times the loss. The ReLU's case distinction (the gradient passes only
where the activation is positive) belongs to the pullback, not here.
"""

from typing import Literal

import torch
from torch import Tensor

#: ``mean``: means of squares, independent of size and width. ``paper``: equations 1
#: and 4 of Gatys, Ecker & Bethge 2016.
Formula = Literal["mean", "paper"]


def content_loss(
    features: Tensor, target: Tensor, weight: float = 1.0, formula: Formula = "mean"
) -> tuple[Tensor, Tensor]:
    """Mean of (F - P)²; for the paper half its sum (Gatys, Ecker & Bethge 2016, equations 1 and 2).

    Args:
        features: F, (1, C, h, w).
        target: P, the content image's, of the same shape.
    """
    difference = features - target
    squares = torch.linalg.vector_norm(difference, dtype=_accumulator(features)).square()
    share = 0.5 if formula == "paper" else 1 / features.numel()
    return squares * share, difference.mul_(2 * share * weight)


def gram_matrix(features: Tensor) -> Tensor:
    """F Fᵀ / M: (1, C, h, w) -> (C, C), accumulated in float32 at least (equation 3, over M)."""
    rows = _rows(features).to(_accumulator(features))
    return rows.mT @ rows / len(rows)


def style_loss(
    features: Tensor, target: Tensor, weight: float = 1.0, formula: Formula = "mean"
) -> tuple[Tensor, Tensor]:
    """Mean of (G - A)²; for the paper a quarter of it (Gatys, Ecker & Bethge 2016, equations 4 and 6).

    Args:
        features: F, (1, C, h, w).
        target: A, the style image's Gram matrix, (C, C).
    """
    rows = _rows(features)
    difference = gram_matrix(features) - target
    share = (0.25 if formula == "paper" else 1.0) / difference.numel()
    slope = difference * (4 * share * weight / len(rows))
    gradient = (rows @ slope.to(rows.dtype)).view(1, *features.shape[-2:], -1).permute(0, 3, 1, 2)
    return difference.square().sum() * share, gradient


def total_variation(image: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean of the squared differences between neighbours, those side by side plus those one above the other.

    Args:
        image: (1, 3, H, W); a direction in which it has one pixel adds nothing.
    """
    gradient = torch.zeros_like(image)
    value = image.new_zeros(())
    for axis in (-2, -1):
        length = image.shape[axis] - 1
        if length:
            difference = image.diff(dim=axis)
            value = value + difference.square().mean()
            slope = difference * (2 * weight / difference.numel())
            gradient.narrow(axis, 1, length).add_(slope)
            gradient.narrow(axis, 0, length).sub_(slope)
    return value, gradient


def _rows(features: Tensor) -> Tensor:
    """(1, C, h, w) -> (M, C), without a copy when channels come last in memory."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def _accumulator(features: Tensor) -> torch.dtype:
    return torch.promote_types(features.dtype, torch.float32)
