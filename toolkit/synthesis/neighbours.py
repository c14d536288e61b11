"""The finish: at every position the joined features of style layers, compared with the nearest of the style images.

Layers are joined on the grid of one of them: finer layers are averaged over its cells, coarser ones repeated. Every
position p then has one vector h_p. A layer's part of it is multiplied by the root of its weight over its number of
filters; as mean activations are one, that is fair to every layer. The target t_p is the style images' vector at the
least cosine distance (Kolkin et al. 2022, arXiv 2203.13215, section 3.1; vectors are not centred here, so what is found
is what the loss compares). Targets are found for one image and then kept: this is a loss on features like any other.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ToolkitError
from .losses import EVERYWHERE, Features, Parts, Window

#: Pixels between positions of the grid, at least, if there is such a layer: the finer the grid, the longer the search.
GRID = 4

#: Pixels between positions of a layer, at most: coarser ones see more than a stroke, and are left out if others remain.
STROKE = 8

#: Vectors of the style images to choose from, at most: of large images a random part.
CANDIDATES = 4096

#: Positions that are matched at a time, for little memory.
AT_ONCE = 1024

#: With this scale a weight of one shows strokes and keeps the style's colours.
SCALE = 5.0

#: The length of a vector, at least.
TINY = 1e-8


@dataclass(frozen=True)
class Joint:
    """How layers are joined.

    ``grid``: the layer on whose grid. ``factors``: by layer, what its features are multiplied by. ``channels``: by
    layer, where in a vector they stand.
    """

    grid: str
    factors: Mapping[str, float]
    channels: Mapping[str, slice]

    @classmethod
    def of(cls, weights: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]], size: Sequence[int]) -> "Joint":
        """Joins layers with these weights; ``shapes`` are their features', (C, h, w), for an image of ``size``.

        Layers coarser than a stroke are left out, unless all are.

        Raises:
            ToolkitError: when they can't be joined, as sides are not halved from one to the next.
        """
        pixels = {layer: _ratio(size, shape[1:]) for layer, shape in shapes.items()}
        shapes = {layer: shape for layer, shape in shapes.items() if pixels[layer] <= STROKE} or shapes
        for axis in (1, 2):
            sides = sorted({shape[axis] for shape in shapes.values()}, reverse=True)
            for side in sides[1:]:
                if side != sides[0] >> int(math.log2(sides[0] / side)):
                    halves = "layers whose sides are halves of one another"
                    raise ToolkitError(f"A finish needs {halves}, not {sides[0]} and {side}: set the finish to 0.")
        coarse = [layer for layer in shapes if pixels[layer] >= GRID]
        factors = {layer: math.sqrt(weights[layer] / shape[0]) for layer, shape in shapes.items()}
        ends = itertools.accumulate(shape[0] for shape in shapes.values())
        channels = {layer: slice(end - shape[0], end) for (layer, shape), end in zip(shapes.items(), ends, strict=True)}
        return cls(coarse[0] if coarse else list(shapes)[-1], factors, channels)

    def part(self, layer: str, features: Tensor, size: Sequence[int]) -> Tensor:
        """A layer's part of the vectors, (h, w, C) on a grid of (h, w)."""
        return onto(features, size)[0].permute(1, 2, 0) * self.factors[layer]

    def vectors(self, run: Parts, image: Tensor) -> Iterator[tuple[Window, Tensor]]:
        """The vectors of an image (1, 3, H, W): (h w, C) by part of the grid, C the number of all layers' filters."""
        features, windows = dict[str, Tensor](), dict[str, Window]()
        for layer, own, window in run(image, self.factors):
            features[layer], windows[layer] = own, window
            if len(features) == len(self.factors):
                size = features[self.grid].shape[-2:]
                joined = torch.cat([self.part(name, features[name], size) for name in self.factors], -1)
                yield windows[self.grid], joined.flatten(0, 1)
                features, windows = {}, {}


def find_candidates(joint: Joint, run: Parts, style: Tensor, allowed: Tensor, count: int, seed: int) -> Tensor:
    """Unit vectors (K, C) of a style image: of ``count`` positions at most, where it is allowed, (h, w) on its grid."""
    positions = allowed.flatten().nonzero()[:, 0]
    order = torch.randperm(len(positions), generator=torch.Generator().manual_seed(seed))[:count]
    taken = torch.zeros_like(allowed, dtype=torch.bool)
    taken.view(-1)[positions[order.to(positions.device)]] = True
    chosen = [vectors[taken[window].flatten()] for window, vectors in joint.vectors(run, style)]
    vectors = torch.cat(chosen)
    return F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), eps=TINY)


def find_matches(joint: Joint, run: Parts, image: Tensor, candidates: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """For each position of an image's grid of (h, w), the number of the nearest candidate: (N, h, w) of N choices."""
    matches = torch.empty(len(candidates), *size, dtype=torch.long, device=image.device)
    for window, vectors in joint.vectors(run, image):
        for own, theirs in zip(matches, candidates, strict=True):
            nearest = torch.cat([(some @ theirs.to(some.dtype).mT).argmax(1) for some in vectors.split(AT_ONCE)])
            own[window] = nearest.view_as(own[window])
    return matches


@dataclass(frozen=True)
class NeighboursLoss:
    """Mean over positions of 1 - cos(h_p, t_p), times ``scale``.

    As t_p has the length one, its gradient with respect to h_p is (cos(h_p, t_p) h_p / |h_p| - t_p) / (|h_p| P), P the
    number of positions. Its sums are maps of the whole grid, zero outside of a part: cos(h_p, t_p) and 1 / |h_p|.

    ``candidates``: (K, C). ``matches``: by position, the number of its target, (h, w). ``guide``: how much each
    position counts, (h, w); 1 each when there is none. ``window``: the part of the grid whose features are given.
    """

    name: ClassVar[str] = "neighbours"
    weight: float
    joint: Joint
    candidates: Tensor
    matches: Tensor
    guide: Tensor | None = None
    scale: float = SCALE
    window: Window = EVERYWHERE

    @property
    def layers(self) -> tuple[str, ...]:
        """Those that are joined."""
        return tuple(self.joint.factors)

    def sums(self, features: Features) -> tuple[Tensor, Tensor]:
        """The two maps, (h, w)."""
        products = squares = self.candidates.new_zeros(())
        for layer in self.layers:
            target = self._target(layer)
            own = self.joint.part(layer, features[layer], target.shape[:2]).to(target.dtype)
            products = products + torch.linalg.vecdot(own, target)
            squares = squares + torch.linalg.vecdot(own, own)
        inverse = squares.sqrt().clamp(min=TINY).reciprocal()
        maps = self.no_sums({}, inverse)
        for whole, part in zip(maps, (products * inverse, inverse), strict=True):
            whole[self.window] = part
        return maps

    def value(self, sums: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The loss, and by position the gradient's factors of h_p and of t_p."""
        cosine, inverse = sums
        counted = torch.full_like(cosine, self.scale / cosine.numel()) * (1.0 if self.guide is None else self.guide)
        return ((1 - cosine) * counted).sum(), (cosine * inverse.square() * counted, inverse * counted)

    def add_gradient(self, layer: str, gradient: Tensor, features: Features, slope: tuple[Tensor, ...]) -> None:
        """Adds the gradient with respect to h_p, carried back to a layer's own positions."""
        along, towards = (own[self.window][..., None] for own in slope)
        target = self._target(layer)
        part = self.joint.part(layer, features[layer], target.shape[:2])
        own = along * part - towards * target
        add_back(gradient, (own * (self.weight * self.joint.factors[layer])).to(gradient.dtype))

    def within(self, windows: Mapping[str, Window]) -> "NeighboursLoss":
        """As ``AdditiveLoss``."""
        return replace(self, window=windows[self.joint.grid])

    def no_sums(self, channels: Mapping[str, int], like: Tensor) -> tuple[Tensor, Tensor]:
        """As ``AdditiveLoss``."""
        return like.new_zeros(self.matches.shape), like.new_zeros(self.matches.shape)

    def _target(self, layer: str) -> Tensor:
        """A layer's part of the targets, (h, w, C)."""
        return self.candidates[:, self.joint.channels[layer]][self.matches[self.window]]


def onto(features: Tensor, size: Sequence[int]) -> Tensor:
    """Features (1, C, H, W) on a grid of (h, w), whose sides are about so many powers of two larger or smaller.

    Means of its cells, or repeated; a rest that poolings dropped is left out, or gets the last row or column.
    """
    if cell := _ratio(features.shape[-2:], size):
        return F.avg_pool2d(features, cell)[..., : size[0], : size[1]]
    repeated = F.interpolate(features, scale_factor=_ratio(size, features.shape[-2:]), mode="nearest")
    missing = (0, size[1] - repeated.shape[-1], 0, size[0] - repeated.shape[-2])
    return F.pad(repeated, missing, mode="replicate") if any(missing) else repeated


def add_back(gradient: Tensor, own: Tensor) -> None:
    """The pullback of ``onto``: adds a gradient on the grid, (h, w, C), to that of features, (1, C, H, W), in place."""
    rows = gradient[0].permute(1, 2, 0)  # a view, whatever the order in memory
    (height, width), (high, wide) = rows.shape[:2], own.shape[:2]
    if cell := _ratio((height, width), (high, wide)):
        cells = rows[: cell * high, : cell * wide].unflatten(0, (high, cell)).unflatten(2, (wide, cell))
        cells += (own / cell**2)[:, None, :, None]
        return
    cell = _ratio((high, wide), (height, width))
    rows += _summed(_summed(own, cell, height).transpose(0, 1), cell, width).transpose(0, 1)


def _summed(rows: Tensor, cell: int, count: int) -> Tensor:
    """Sums of so many rows at a time, (count, ...); what is left over joins the last."""
    sums = rows[: cell * count].unflatten(0, (count, cell)).sum(1)
    sums[-1] += rows[cell * count :].sum(0)
    return sums


def _ratio(size: Sequence[int], other: Sequence[int]) -> int:
    """How many times as long the sides of the one are, rounded down to a power of two; 0 when they are shorter."""
    ratio = max(size) / max(other)
    return 2 ** int(math.log2(ratio)) if ratio >= 1 else 0
