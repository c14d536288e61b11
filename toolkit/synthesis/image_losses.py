"""Losses on the image itself, beside those on its features."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .recipe import Recipe


class ImageLoss(Protocol):
    """A loss on an image (1, 3, H, W); called with one it returns its value, (), and ``weight`` times its gradient."""

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...

    def __call__(self, image: Tensor, /) -> tuple[Tensor, Tensor]: ...


class TotalVariation(NamedTuple):
    """Mean of the squared differences between horizontal neighbours, plus that of vertical ones; it smooths.

    A direction in which an image has one pixel adds nothing. ``seamless``: whether the first and the last pixel of a
    row or a column are neighbours too.

    >>> value, gradient = TotalVariation(1.0)(torch.zeros(1, 3, 4, 4))
    >>> float(value)
    0.0
    """

    weight: float
    seamless: bool = False
    name: str = "total variation"

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """As ``ImageLoss``."""
        gradient = torch.zeros_like(image)
        value = image.new_zeros(())
        for axis in (-2, -1):
            difference = image - image.roll(1, axis)
            count = image.numel()
            if not self.seamless:
                difference.narrow(axis, 0, 1).zero_()
                count = max(1, count - count // image.shape[axis])
            value = value + difference.square().sum() / count
            gradient += (difference - difference.roll(-1, axis)) * (2 * self.weight / count)
        return value, gradient


class Temporal(NamedTuple):
    """The temporal loss, w mean m (x - y)², which keeps a clip from flickering (Ruder, Dosovitskiy & Brox 2016).

    ``target``: y, what the frame before leads to expect, (1, 3, H, W). ``certain``: m, how sure that is, (1, 1, H, W).
    """

    weight: float
    target: Tensor
    certain: Tensor
    name: str = "temporal"

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """As ``ImageLoss``."""
        difference = image - self.target
        counted = difference * self.certain
        return (counted * difference).mean(), counted * (2 * self.weight / image.numel())


def image_losses_of(recipe: Recipe) -> list[ImageLoss]:
    """The losses on the image that a recipe asks for."""
    weight = recipe.total_variation_weight
    return [TotalVariation(weight, recipe.seamless)] if weight else []
