"""Content loss and style loss: values and gradients in closed form.

A layer's features are (1, C, h, w): C filters, M = h w positions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .statistics import Distance, Slope, Sums, moment_sums, moments

#: Features (1, C, h, w) by layer.
Features = Mapping[str, Tensor]

#: An index into features or an image, (..., rows, columns): a rectangle of positions.
Window = tuple[EllipsisType, slice, slice]

#: All of an image, or of its features.
EVERYWHERE: Window = (..., slice(None), slice(None))

#: An image and layers -> by part of the image and by layer: the features of the part, and where in the whole they are.
Parts = Callable[[Tensor, Iterable[str]], Iterator[tuple[str, Tensor, Window]]]


class Loss(Protocol):
    """A loss on the features of one layer, or of several, in three steps: sums, value, gradient.

    What sums and slope hold is the loss's own affair. ReLU's part in the gradient belongs to the network.

    ``name``: as it is shown. ``weight``: of its value in the objective. ``scale``: of the formula within the value.
    ``layers``: whose features it needs.
    """

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def layers(self) -> tuple[str, ...]: ...

    def sums(self, features: Features) -> tuple[Tensor, ...]:
        """What the value needs of the features of an image or a part of it; most often sums over their positions."""

    def value(self, sums: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss before its weight, (), and the slope, which the gradient needs."""

    def add_gradient(self, layer: str, gradient: Tensor, features: Features, slope: tuple[Tensor, ...]) -> None:
        """Adds the gradient of ``weight`` times the loss with respect to one layer's features, in place.

        Called from the deepest layer on: features of the layers above this one are there too; deeper ones are gone.
        """


class AdditiveLoss(Loss, Protocol):
    """A loss whose sums over the parts of an image add up, tensor by tensor, to those of the whole."""

    def within(self, windows: Mapping[str, Window]) -> Loss:
        """The same loss for some of the positions, by layer."""

    def no_sums(self, channels: Mapping[str, int], like: Tensor) -> tuple[Tensor, ...]:
        """The sums over no position, in the type and on the device of a tensor."""


@dataclass(frozen=True)
class OneLayerLoss:
    """What the losses on one layer share. ``kind``: ``content`` or ``style``."""

    kind: ClassVar[str]
    layer: str
    weight: float

    @property
    def name(self) -> str:
        return f"{self.kind} {self.layer}"

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)


@dataclass(frozen=True)
class FeaturesLoss(OneLayerLoss):
    """Mean of (F - P)², times ``scale`` (Gatys, Ecker & Bethge 2016, equations 1 and 2, as a mean of squares).

    ``target``: P, the content image's features (1, C, h, w). ``size``: how many values the mean is of.
    """

    kind: ClassVar[str] = "content"
    target: Tensor
    size: int
    scale: float = 1.0

    def sums(self, features: Features) -> tuple[Tensor]:
        """The sum of squares, ()."""
        own = features[self.layer]
        dtype = torch.promote_types(own.dtype, torch.float32)  # a norm adds up in it without a copy
        return (torch.linalg.vector_norm(own - self.target, dtype=dtype).square(),)

    def value(self, sums: tuple[Tensor, ...]) -> tuple[Tensor, tuple[()]]:
        """The loss; its gradient needs nothing of the sums."""
        return sums[0] * (self.scale / self.size), ()

    def add_gradient(self, layer: str, gradient: Tensor, features: Features, slope: tuple[Tensor, ...]) -> None:
        """Adds 2 (F - P), times scale and weight, over the number of values."""
        gradient.add_(features[layer] - self.target, alpha=2 * (self.scale / self.size) * self.weight)

    def within(self, windows: Mapping[str, Window]) -> "FeaturesLoss":
        return replace(self, target=self.target[windows[self.layer]])

    def no_sums(self, channels: Mapping[str, int], like: Tensor) -> tuple[Tensor]:
        return (like.new_zeros(()),)


@dataclass(frozen=True)
class MomentsLoss(OneLayerLoss):
    """A style statistic of the features against the style images', times ``scale``.

    With a guide each position counts as much as the guide says (Gatys et al. 2017, section 4).

    ``distance``: from the style images' moments. ``guide``: (1, 1, h, w), or ``None`` for everywhere.
    """

    kind: ClassVar[str] = "style"
    distance: Distance
    guide: Tensor | None = None
    scale: float = 1.0

    def sums(self, features: Features) -> Sums:
        """The moments' sums."""
        return moment_sums(features[self.layer], self.guide)

    def value(self, sums: tuple[Tensor, ...]) -> tuple[Tensor, Slope]:
        """The loss, and ``scale`` / M times dL/dm and dL/dG; zeros where a guide is zero everywhere."""
        own = Sums(*sums)
        value, slope = self.distance(moments(own))
        scale = torch.where(own.positions > 0, self.scale, 0.0)
        over = scale / torch.where(own.positions > 0, own.positions, 1.0)
        return value * scale, Slope(slope.mean * over, slope.gram * over)

    def add_gradient(self, layer: str, gradient: Tensor, features: Features, slope: tuple[Tensor, ...]) -> None:
        """Adds (2 dL/dG F + dL/dm 1ᵀ) / M, times weight and guide: a 1 x 1 convolution. The slope is over M already."""
        by_mean, by_gram = slope
        matrix = (2 * self.weight * by_gram).to(gradient.dtype)
        own = F.conv2d(features[layer], matrix[:, :, None, None], (self.weight * by_mean).to(gradient.dtype))
        gradient.add_(own if self.guide is None else own.mul_(self.guide))

    def within(self, windows: Mapping[str, Window]) -> "MomentsLoss":
        return self if self.guide is None else replace(self, guide=self.guide[windows[self.layer]])

    def no_sums(self, channels: Mapping[str, int], like: Tensor) -> Sums:
        count = channels[self.layer]
        return Sums(like.new_zeros(count), like.new_zeros(count, count), like.new_zeros(()))
