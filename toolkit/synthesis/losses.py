"""Content loss, style loss and total variation: values and gradients in closed form.

A layer's features are (1, C, h, w): C filters, M = h w positions. Losses on features have three steps: ``sums`` over
the positions, which add up over parts of an image; ``value`` from the sums, with what the gradient needs of them; and
``add_gradient``. ReLU's part in the gradient belongs to the pullback.
"""

from collections.abc import Iterable, Mapping
from types import EllipsisType
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .statistics import Moments, Statistic, gram, moment_sums, moments

#: An index into features or an image, (..., rows, columns): a rectangle of positions.
Region = tuple[EllipsisType, slice, slice]


class Loss(Protocol):
    """A loss on the features of one layer."""

    @property
    def name(self) -> str:
        """What it is of, such as ``style relu1_1``."""

    @property
    def weight(self) -> float:
        """Its weight in the objective."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its sums."""

    def sums(self, features: Tensor) -> Tensor:
        """What the loss needs of the features (1, C, h, w), summed over positions."""

    def value(self, sums: Tensor) -> tuple[Tensor, Any]:
        """The loss, (), before its weight, and what ``add_gradient`` is to be given."""

    def add_gradient(self, gradient: Tensor, features: Tensor, slope: Any) -> None:
        """Adds the gradient of ``weight`` times the loss in the features to ``gradient``, in place."""

    def within(self, region: Region) -> "Loss":
        """The same loss for those of the positions alone; values of disjoint regions add up through their sums."""


class ContentLoss(NamedTuple):
    """Mean of (F - P)²; the paper's formula is half the sum (Gatys, Ecker & Bethge 2016, equations 1 and 2).

    ``target``: P, the content image's features (1, C, h, w). ``share``: the factor of the sum of squares.
    """

    name: str
    weight: float
    target: Tensor
    share: float

    @classmethod
    def of(cls, name: str, weight: float, target: Tensor, formula: str = "mean") -> "ContentLoss":
        """The loss by either formula."""
        return cls(name, weight, target, 0.5 if formula == "paper" else 1 / target.numel())

    @property
    def shape(self) -> tuple[int, ...]:
        """As ``Loss``."""
        return ()

    def sums(self, features: Tensor) -> Tensor:
        """The sum of squares, ()."""
        dtype = torch.promote_types(features.dtype, torch.float32)
        return torch.linalg.vector_norm(features - self.target, dtype=dtype).square()

    def value(self, sums: Tensor) -> tuple[Tensor, None]:
        """The loss; its gradient needs nothing of the sums."""
        return sums * self.share, None

    def add_gradient(self, gradient: Tensor, features: Tensor, slope: None) -> None:
        """Adds 2 (F - P) times share and weight."""
        gradient.add_(features - self.target, alpha=2 * self.share * self.weight)

    def within(self, region: Region) -> "ContentLoss":
        """As ``Loss``."""
        return self._replace(target=self.target[region])


class StyleLoss(NamedTuple):
    """A style statistic of the features against the style images'.

    With a guide T², each position counts as much as it says (Gatys et al. 2017, section 4). By the paper's formula the
    value is a quarter, E_l = sum (F Fᵀ - A)² / (4 C² M²) (Gatys, Ecker & Bethge 2016, equation 4).

    ``target``: the moments to reach. ``guide``: (1, 1, h, w), or ``None`` for everywhere. ``share``: a factor of value
    and gradient.
    """

    name: str
    weight: float
    target: Moments
    statistic: Statistic = gram
    guide: Tensor | None = None
    share: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """As ``Loss``."""
        return len(self.target.mean) + 1, len(self.target.mean) + 1

    def sums(self, features: Tensor) -> Tensor:
        """The moments' sums, (C + 1, C + 1)."""
        return moment_sums(features, self.guide)

    def value(self, sums: Tensor) -> tuple[Tensor, Moments]:
        """The loss, and the moments' weighted derivatives over M. A guide that is nowhere asks for nothing."""
        value, slope = self.statistic(moments(sums), self.target)
        positions = sums[-1, -1]
        share = self.share * (positions > 0).to(sums.dtype)
        factor = share * self.weight / torch.where(positions > 0, positions, 1.0)
        return value * share, Moments(slope.mean * factor, slope.gram * (2 * factor))

    def add_gradient(self, gradient: Tensor, features: Tensor, slope: Moments) -> None:
        """Adds (2 dL/dG F + dL/dm 1ᵀ) / M, times the guide."""
        mean, matrix = (part.to(gradient.dtype) for part in slope)
        own = F.conv2d(features, matrix[:, :, None, None], mean)
        gradient.add_(own if self.guide is None else own.mul_(self.guide))

    def within(self, region: Region) -> "StyleLoss":
        """As ``Loss``."""
        return self if self.guide is None else self._replace(guide=self.guide[region])


def guides(mask: Tensor, strides: Mapping[str, int], layers: Iterable[str]) -> dict[str, Tensor]:
    """A mask at the sizes of layers, squared: how much each position counts (Gatys et al. 2017, section 4).

    Args:
        mask: (1, 1, H, W) in [0, 1], of the result's size.
        strides: by layer, the pixels from one position to the next.
        layers: names of the layers.

    Returns:
        By layer, (1, 1, h, w).
    """
    sizes = {name: (mask.shape[-2] // strides[name], mask.shape[-1] // strides[name]) for name in layers}
    return {name: F.interpolate(mask, size, mode="area").square() for name, size in sizes.items()}


def total_variation(image: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean of the squared differences between horizontal neighbours, plus that of vertical ones.

    >>> value, gradient = total_variation(torch.zeros(1, 3, 4, 4))
    >>> float(value)
    0.0

    Args:
        image: (1, 3, H, W); a direction in which it has one pixel adds nothing.
        weight: of the gradient.

    Returns:
        The loss before its weight, (), and the gradient of ``weight`` times it, (1, 3, H, W).
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
