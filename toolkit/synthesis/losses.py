"""Content, style and total variation: each one's value and its gradient, in closed form.

Features are those of one image, (1, C, h, w), with N = C filters and M = h w positions. A loss is first shown the
features, whole or region by region, then has a value, and then adds its gradient for the regions it is asked for. So
an image may be larger than memory. The ReLU's case distinction (the gradient passes only where the activation is
positive) belongs to the pullback, not here.

Where features are known as a reference's and a difference, both roughly, losses are as exact as the difference is
small: the reference's part of them was taken in exactly before.
"""

import copy
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distributed import Ranks
from .strips import strips

#: ``mean``: means of squares, independent of size and width. ``paper``: equations 1
#: and 4 of Gatys, Ecker & Bethge 2016.
Formula = Literal["mean", "paper"]

#: Rows and columns of a layer's positions.
Region = tuple[slice, slice]
WHOLE: Region = (slice(None), slice(None))


class Loss(Protocol):
    """A loss on the features of one layer."""

    def add(self, features: Tensor, region: Region = WHOLE, difference: Tensor | None = None) -> None:
        """Takes in the features (1, C, h, w) of a region; regions must not overlap, nor be empty.

        Where the loss knows a reference's features, ``difference`` is what features have beyond them.
        """

    def sum_over(self, ranks: Ranks) -> None:
        """Takes in what other processes' regions gave."""

    def value(self) -> Tensor:
        """The loss, (), before its weight, once all regions are in."""

    def add_gradient(
        self, gradient: Tensor, features: Tensor, region: Region = WHOLE, difference: Tensor | None = None
    ) -> None:
        """Adds to ``gradient`` that of ``weight`` times the loss, for a region; after ``value``."""


class ContentLoss:
    """Mean of (F - P)²; for the paper half its sum (Gatys, Ecker & Bethge 2016, equations 1 and 2).

    Args:
        target: P, the content image's features, (1, C, h, w); where differences are shown, P less the reference's.
        weight: of the gradient.
        formula: which of the two.
    """

    def __init__(self, target: Tensor, weight: float = 1.0, formula: Formula = "mean") -> None:
        self.target = target
        self.weight = weight
        self.share = 0.5 if formula == "paper" else 1 / target.numel()
        self.squares = torch.zeros((), dtype=_accumulator(target), device=target.device)

    def add(self, features: Tensor, region: Region = WHOLE, difference: Tensor | None = None) -> None:
        """As ``Loss`` has it."""
        off = self._off(features, region, difference)
        self.squares += torch.linalg.vector_norm(off, dtype=self.squares.dtype).square()

    def sum_over(self, ranks: Ranks) -> None:
        """As ``Loss`` has it."""
        ranks.sum(self.squares)

    def value(self) -> Tensor:
        """As ``Loss`` has it."""
        return self.squares * self.share

    def add_gradient(
        self, gradient: Tensor, features: Tensor, region: Region = WHOLE, difference: Tensor | None = None
    ) -> None:
        """As ``Loss`` has it."""
        off = self._off(features, region, difference)
        gradient.add_((off * (2 * self.share * self.weight)).to(gradient.dtype))

    def _off(self, features: Tensor, region: Region, difference: Tensor | None) -> Tensor:
        return (features if difference is None else difference) - self.target[..., region[0], region[1]]


class StyleLoss:
    """Mean of (G - A)²; for the paper a quarter of it (Gatys, Ecker & Bethge 2016, equations 4 and 6).

    With a guide, G is that of the guided features, T F over the sum of T² (Gatys et al. 2017, section 4).

    Args:
        target: A, the style image's Gram matrix, (C, C).
        weight: of the gradient.
        formula: which of the two.
        guide: T², (1, 1, h, w), how much each position counts; all alike when there is none.
        known: the guided Gram matrix of the reference, where differences are shown.
    """

    def __init__(
        self,
        target: Tensor,
        weight: float = 1.0,
        formula: Formula = "mean",
        guide: Tensor | None = None,
        known: "GramMatrix | None" = None,
    ) -> None:
        self.target = target
        self.weight = weight
        self.share = (0.25 if formula == "paper" else 1.0) / target.numel()
        self.guide = guide
        self.gram = copy.deepcopy(known) or GramMatrix(target.shape[0], target.device, target.dtype)
        self.slope = target

    def add(self, features: Tensor, region: Region = WHOLE, difference: Tensor | None = None) -> None:
        """As ``Loss`` has it."""
        if difference is None:
            self.gram.add(features, self._guide(region))
        else:
            self.gram.change(features, difference, self._guide(region))

    def sum_over(self, ranks: Ranks) -> None:
        """As ``Loss`` has it."""
        self.gram.sum_over(ranks)

    def value(self) -> Tensor:
        """As ``Loss`` has it."""
        if not self.gram.positions:  # a guide that is nowhere asks for nothing
            self.slope = torch.zeros_like(self.target)
            return self.slope.sum()
        difference = self.gram.mean() - self.target
        self.slope = difference * (4 * self.share * self.weight / self.gram.positions)
        return difference.square().sum() * self.share

    def add_gradient(
        self, gradient: Tensor, features: Tensor, region: Region = WHOLE, difference: Tensor | None = None
    ) -> None:
        """As ``Loss`` has it."""
        slope = self.slope.to(gradient.dtype)[:, :, None, None]
        guide = self._guide(region)
        for rows in strips(gradient):
            own = F.conv2d(features[..., rows, :].to(gradient.dtype), slope)
            gradient[..., rows, :].add_(own if guide is None else own * guide[..., rows, :])

    def _guide(self, region: Region) -> Tensor | None:
        return None if self.guide is None else self.guide[..., region[0], region[1]]


class GramMatrix:
    """F Fᵀ / M, gathered region by region, accumulated in float32 at least (equation 3, over M)."""

    def __init__(self, channels: int, device: torch.device | None = None, dtype: torch.dtype = torch.float32) -> None:
        self.sums = torch.zeros(channels, channels, device=device, dtype=dtype)
        self.positions = 0.0

    def add(self, features: Tensor, guide: Tensor | None = None) -> None:
        """Takes in the features (1, C, h, w) of a region, each position as much as the guide (1, 1, h, w) says."""
        features = features.to(_accumulator(features)).contiguous(memory_format=torch.channels_last)
        if guide is None:
            self.sums += _products(features, features)
            self.positions += features[0, 0].numel()
        else:
            self.sums += _products(features, features * guide.to(features.dtype))
            self.positions += float(guide.sum())

    def change(self, features: Tensor, difference: Tensor, guide: Tensor | None = None) -> None:
        """Takes in that features are no longer what they were, but these, different by so much: (1, C, h, w) each.

        F Fᵀ - (F - D)(F - D)ᵀ = M Dᵀ + D Mᵀ with M = F - D/2: what is rounded in F counts no more than D does.
        """
        for rows in strips(difference):
            changed = difference[..., rows, :].contiguous(memory_format=torch.channels_last)
            middle = torch.sub(features[..., rows, :], changed, alpha=0.5)
            if guide is not None:
                changed = changed * guide[..., rows, :].to(changed.dtype)
            products = _products(middle, changed).to(self.sums.dtype)
            self.sums += products + products.mT

    def sum_over(self, ranks: Ranks) -> None:
        """Takes in what other processes' regions gave."""
        ranks.sum(self.sums)
        self.positions = float(ranks.sum(self.sums.new_tensor(self.positions, dtype=torch.float64)))

    def mean(self) -> Tensor:
        """(C, C)."""
        return self.sums / self.positions


def gram_matrix(features: Tensor) -> Tensor:
    """The Gram matrix of whole features: (1, C, h, w) -> (C, C)."""
    gram = GramMatrix(features.shape[1], features.device, _accumulator(features))
    gram.add(features)
    return gram.mean()


def total_variation(image: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean of the squared differences between neighbours, those side by side plus those one above the other.

    Args:
        image: (1, 3, H, W); a direction in which it has one pixel adds nothing.
        weight: of the gradient.

    Returns:
        The loss before its weight, and the gradient of ``weight`` times it.
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


def _products(left: Tensor, right: Tensor) -> Tensor:
    """Of every filter of one with every filter of the other, summed over positions: (1, C, h, w) each -> (C, C).

    That is what a 1 x 1 convolution's weights get for a gradient. On a CPU oneDNN, which has it, works it out in half
    the time that a matrix product takes; in bfloat16 in 0.5 to 1.3 of it, the fewer filters the sooner (measured
    with AVX-512 on an AMD processor, from 16 to 512 filters).
    """
    if left.device.type == "cpu" and left.dtype != torch.float64:
        weight = left.new_empty(left.shape[1], right.shape[1], 1, 1)
        only_weight = [False, True, False]
        found = torch.ops.aten.convolution_backward(
            left, right, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, only_weight
        )[1]
        return found[:, :, 0, 0]
    return _rows(left).mT @ _rows(right)


def _rows(features: Tensor) -> Tensor:
    """(1, C, h, w) -> (M, C), without a copy when channels come last in memory."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def _accumulator(features: Tensor) -> torch.dtype:
    return torch.promote_types(features.dtype, torch.float32)
