"""The sliced Wasserstein distance: a style loss that compares whole distributions, not their moments."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ToolkitError
from .inputs import HALF
from .losses import Features, OneLayerLoss

#: A position belongs to a style image where its guide, its mask squared, is at least this.
INSIDE = HALF**2


@dataclass(frozen=True)
class SlicedLoss(OneLayerLoss):
    """Mean squared difference of sorted projections, over directions and positions (Heitz et al. 2021, equation 7).

    It needs all positions at once, so it is no ``AdditiveLoss``, and works on whole images alone.

    ``target``: the style images' sorted projections (C, M'). ``guide``: (1, 1, h, w), or ``None`` for everywhere.
    ``seed``: of the directions. ``scale``: of the mean.
    """

    kind: ClassVar[str] = "style"
    target: Tensor
    guide: Tensor | None = None
    seed: int = 0
    scale: float = 1.0

    def sums(self, features: Features) -> tuple[Tensor]:
        """By direction and position, how far each projection is from its place in the target: (C, M)."""
        projections = project(features[self.layer], self.seed, self._where)
        values, order = projections.sort()
        difference = values - resampled(self.target, values.shape[1])
        return (torch.zeros_like(values).scatter_(1, order, difference),)

    def value(self, sums: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor]]:
        """The loss, and its derivatives with respect to the projections."""
        (differences,) = sums
        scale = self.scale / max(differences.numel(), 1)
        return differences.square().sum() * scale, (differences * (2 * scale),)

    def add_gradient(self, layer: str, gradient: Tensor, features: Features, slope: tuple[Tensor, ...]) -> None:
        """Adds the slope, carried back along the directions."""
        along = directions(gradient.shape[1], self.seed, slope[0].dtype, slope[0].device)
        own = (self.weight * along.mT @ slope[0]).to(gradient.dtype)
        rows = gradient[0].permute(1, 2, 0)  # a view, whatever the order in memory
        if self._where is None:
            rows += own.mT.unflatten(0, rows.shape[:2])
        else:
            rows[self._where] += own.mT

    @functools.cached_property
    def _where(self) -> tuple[Tensor, ...] | None:
        """Found once: on a GPU to count positions means to wait for them."""
        return inside(self.guide)


def inside(guide: Tensor | None) -> tuple[Tensor, ...] | None:
    """The rows and the columns (M) of a guide's positions; ``None`` for everywhere."""
    return None if guide is None else (guide[0, 0] >= INSIDE).nonzero(as_tuple=True)


def project(features: Tensor, seed: int, where: tuple[Tensor, ...] | None = None) -> Tensor:
    """Features (1, C, h, w) along random directions, at these rows and columns: (C, M), float32 at least."""
    rows = features[0].to(torch.promote_types(features.dtype, torch.float32)).permute(1, 2, 0)
    rows = rows.flatten(0, 1) if where is None else rows[where]
    return directions(features.shape[1], seed, rows.dtype, rows.device) @ rows.mT


def sorted_projections(features: Tensor, seed: int, guide: Tensor | None = None) -> Tensor:
    """A style image's projections in ascending order, (C, M), where the guide is.

    Raises:
        ToolkitError: when that is nowhere.
    """
    projections = project(features, seed, inside(guide))
    if not projections.numel():
        raise ToolkitError("A style mask is too small or too dark for the sliced statistic: brighten it.")
    return projections.sort()[0]


def blended_projections(projections: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Sorted projections of several style images, (C, M) each, averaged; as many as the first has."""
    count = projections[0].shape[1]
    parts = [share * resampled(own, count) for share, own in zip(shares, projections, strict=True)]
    return torch.stack(parts).sum(0)


def resampled(values: Tensor, count: int) -> Tensor:
    """Sorted values (C, M) as ``count`` quantiles of the same distribution."""
    if count in (0, values.shape[1]):
        return values[:, :count]
    return F.interpolate(values[None], count, mode="linear", align_corners=False)[0]


@functools.lru_cache(16)
def directions(channels: int, seed: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A random rotation, (C, C): its rows are as many directions as there are filters."""
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64, generator=generator))[0]
    return rotation.to(dtype).to(device)
