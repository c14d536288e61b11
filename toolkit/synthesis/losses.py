"""Content loss and style loss: values and gradients in closed form.

A layer's features are (1, C, h, w): C filters, M = h w positions. A loss has three steps: ``sums`` over
positions, which add up over parts of an image; ``value``, the loss before its weight, with the slope that the gradient
needs; and ``add_gradient``, in place, of ``weight`` times the loss. ReLU's part in it belongs to the pullback.
"""

from collections.abc import Iterable, Mapping
from types import EllipsisType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .recipe import Formula
from .sliced import SlicedLoss
from .statistics import Distance, Moments, moment_sums, moments

#: An index into features or an image, (..., rows, columns): a rectangle of positions.
Region = tuple[EllipsisType, slice, slice]


class ContentLoss(NamedTuple):
    """Mean of (F - P)²; the paper's formula is half the sum (Gatys, Ecker & Bethge 2016, equations 1 and 2).

    ``target``: P, the content image's features (1, C, h, w). ``factor``: of the sum of squares.
    """

    name: str
    weight: float
    target: Tensor
    factor: float

    @classmethod
    def of(cls, name: str, weight: float, target: Tensor, formula: Formula = "mean") -> "ContentLoss":
        """The loss by either formula."""
        return cls(name, weight, target, 0.5 if formula == "paper" else 1 / target.numel())

    def sums(self, features: Tensor) -> Tensor:
        """The sum of squares, ()."""
        dtype = torch.promote_types(features.dtype, torch.float32)  # a norm adds up in it without a copy
        return torch.linalg.vector_norm(features - self.target, dtype=dtype).square()

    def value(self, sums: Tensor) -> tuple[Tensor, Any]:
        """The loss; its gradient needs nothing of the sums."""
        return sums * self.factor, None

    def add_gradient(self, gradient: Tensor, features: Tensor, slope: Any) -> None:
        """Adds 2 (F - P), times factor and weight."""
        gradient.add_(features - self.target, alpha=2 * self.factor * self.weight)

    def within(self, region: Region) -> "ContentLoss":
        """The same loss for some of the positions."""
        return self._replace(target=self.target[region])


class StyleLoss(NamedTuple):
    """A style statistic of the features against the style images'.

    With a guide each position counts as much as the guide says (Gatys et al. 2017, section 4). By the paper's formula
    the value is a quarter, E_l = sum (F Fᵀ - A)² / (4 C² M²) (Gatys, Ecker & Bethge 2016, equation 4).

    ``distance``: from the style images' moments. ``guide``: (1, 1, h, w), or ``None`` for everywhere. ``factor``: of
    the distance.
    """

    name: str
    weight: float
    distance: Distance
    guide: Tensor | None = None
    factor: float = 1.0

    def sums(self, features: Tensor) -> Tensor:
        """The moments' sums, (C + 1, C + 1)."""
        return moment_sums(features, self.guide)

    def value(self, sums: Tensor) -> tuple[Tensor, Any]:
        """The loss, and its derivatives in the moments, over M; all zero where a guide is zero everywhere."""
        value, slope = self.distance(moments(sums))
        positions = sums[-1, -1]
        factor = torch.where(positions > 0, self.factor, 0.0)
        over = factor / torch.where(positions > 0, positions, 1.0)
        return value * factor, Moments(slope.mean * over, slope.gram * over)

    def add_gradient(self, gradient: Tensor, features: Tensor, slope: Any) -> None:
        """Adds (2 dL/dG F + dL/dm 1ᵀ) / M, times weight and guide: a 1 x 1 convolution."""
        matrix = (2 * self.weight * slope.gram).to(gradient.dtype)
        own = F.conv2d(features, matrix[:, :, None, None], (self.weight * slope.mean).to(gradient.dtype))
        gradient.add_(own if self.guide is None else own.mul_(self.guide))

    def within(self, region: Region) -> "StyleLoss":
        """The same loss for some of the positions."""
        return self if self.guide is None else self._replace(guide=self.guide[region])


#: A loss on the features of one layer: one that is a function of sums over positions, or any.
LossOfSums = ContentLoss | StyleLoss
Loss = LossOfSums | SlicedLoss


def guides_of(mask: Tensor, strides: Mapping[str, int], layers: Iterable[str]) -> dict[str, Tensor]:
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
