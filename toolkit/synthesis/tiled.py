"""The objective over tiles of an image, and over processes: the exact gradient of an image of any size.

A tile's core belongs to it alone; cores cover the image. Around its core a tile has a halo as wide as the deepest
layer's receptive field reaches, so that features in the core are those of the whole image, and the gradient that they
send back ends within the tile. Losses need sums over positions only: a first pass over the tiles adds them up, a second
one adds up the gradient. Processes share the tiles, and all-reduce sums and gradient.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..network import Layer, Network
from ..network.geometry import reach, strides
from ..optimize import Evaluation
from .losses import LossOfSums, Region, StyleLoss, guides_of
from .needs import check_images
from .objective import bind, evaluation_of
from .pullback import Passed, Pullback
from .recipe import Recipe
from .statistics import moment_sums


class TiledObjective:
    """What ``Objective`` computes, tile by tile.

    Args:
        network: on the device and in the type to compute in.
        recipe: which losses, and their weights.
        content, styles, masks, style_masks: as ``Objective``.
        pixels: of a tile with its halo, at most.
        ranks: the processes that share the tiles of every evaluation; all get the whole of it.

    Raises:
        ToolkitError: as ``Objective``.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        masks: Sequence[Tensor] = (),
        style_masks: Sequence[Tensor] = (),
        *,
        pixels: float = math.inf,
        ranks: Ranks = ALONE,
    ) -> None:
        check_images(recipe, content, styles, masks, style_masks)
        if recipe.style_statistic == "sliced":
            raise ToolkitError(
                "The sliced statistic compares the whole image at once, without tiles or processes: use another "
                "--style-statistic, a smaller --size, or more --memory."
            )
        if recipe.seamless:
            raise ToolkitError(
                "A seamless texture is computed whole, without tiles or processes, as its edges meet: use a smaller "
                "--size, or more --memory."
            )
        content_weights, style_weights = recipe.layer_weights
        self.runs_on = f"PyTorch on {next(network.parameters()).device}"
        self._network, self._recipe, self._pixels, self._ranks = network, recipe, pixels, ranks
        self._pullback = Pullback(network, {*content_weights, *style_weights})
        self._strides = strides(self._pullback.path)
        features: dict[str, Tensor] = {}
        if content is not None:
            for name, inner, outer, found in self._features(content, content_weights):
                if name not in features:
                    size = self._size(name, content)
                    whole = found.new_empty(1, found.shape[1], *size)
                    features[name] = whole.contiguous(memory_format=torch.channels_last)
                features[name][outer] = found[inner]
        guides, parts = (
            [guides_of(mask, self._strides, style_weights) for mask in each] for each in (masks, style_masks)
        )
        sums: list[dict[str, Tensor]] = [{} for _ in styles]
        for style, own, part in zip(styles, sums, parts or [{}] * len(styles), strict=True):
            for name, inner, outer, found in self._features(style, style_weights):
                guide = part[name][outer] if part else None
                own[name] = own.get(name, 0) + moment_sums(found[inner], guide)
        self._losses = cast("dict[str, list[LossOfSums]]", bind(recipe, features, sums, guides))

    def __call__(self, image: Tensor) -> Evaluation:
        """As ``Objective``.

        Raises:
            ToolkitError: also when another process is gone.
        """
        tiles = self._tiles(image)[self._ranks.rank :: self._ranks.world_size]
        numbered = [(layer, loss) for layer, losses in self._losses.items() for loss in losses]
        dtype = torch.promote_types(self._network.dtype, torch.float32)
        width = {layer.name: layer.channels + 1 for layer in self._pullback.path}
        shapes = [(width[layer],) * 2 if isinstance(loss, StyleLoss) else () for layer, loss in numbered]
        sums = [torch.zeros(shape, dtype=dtype, device=image.device) for shape in shapes]
        trails: list[list[Passed]] = []
        for tile in tiles:
            part = image[tile.window]
            if len(tiles) == 1:  # there is room to keep what its pullback needs
                trails.append(self._pullback.forward(part))
                shown: Iterable[tuple[str, Tensor]] = (
                    (layer.name, features) for layer, _, features in trails[0] if features is not None
                )
            else:
                shown = self._network.walk(part, self._losses)
            for name, features in shown:
                inner, outer = self._core(tile, name, image)
                for number, (layer, loss) in enumerate(numbered):
                    if layer == name:
                        sums[number] += loss.within(outer).sums(features[inner])
        found = [loss.value(self._ranks.all_reduce(own)) for own, (_, loss) in zip(sums, numbered, strict=True)]
        gradient = torch.zeros_like(image)
        for tile in tiles:

            def add_gradient(name: str, gradient: Tensor, features: Tensor, tile: Tile = tile) -> None:
                inner, outer = self._core(tile, name, image)
                for (layer, loss), (_, slope) in zip(numbered, found, strict=True):
                    if layer == name:
                        loss.within(outer).add_gradient(gradient[inner], features[inner], slope)

            trail = trails.pop() if trails else self._pullback.forward(image[tile.window])
            gradient[tile.window] += self._pullback.backward(trail, add_gradient)
        values = [(loss.name, loss.weight, value) for (_, loss), (value, _) in zip(numbered, found, strict=True)]
        return evaluation_of(self._recipe, image, values, self._ranks.all_reduce(gradient))

    def _features(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Region, Region, Tensor]]:
        """By tile and layer: name, the core within the tile and within the image, and the tile's features."""
        for tile in self._tiles(image):
            for name, features in self._network.walk(image[tile.window], layers):
                yield name, *self._core(tile, name, image), features

    def _tiles(self, image: Tensor) -> tuple["Tile", ...]:
        size = (image.shape[-2], image.shape[-1])
        return cut(size, self._pullback.path, self._pixels, self._ranks.world_size)

    def _core(self, tile: "Tile", layer: str, image: Tensor) -> tuple[Region, Region]:
        return tile.core(self._strides[layer], self._size(layer, image))

    def _size(self, layer: str, image: Tensor) -> tuple[int, int]:
        stride = self._strides[layer]
        return image.shape[-2] // stride, image.shape[-1] // stride


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels: with its halo, and its core. Both begin at whole pooling cells."""

    start: int
    stop: int
    core_start: int
    core_stop: int
    ends: bool

    def __len__(self) -> int:
        return self.stop - self.start

    def core(self, stride: int, length: int) -> tuple[slice, slice]:
        """The core's positions in a layer of that stride.

        Args:
            stride: pixels from one position to the next.
            length: of the layer over the whole image.

        Returns:
            Within the tile's features, and within the whole image's.
        """
        start, stop = self.core_start // stride, length if self.ends else self.core_stop // stride
        offset = self.start // stride
        return slice(start - offset, stop - offset), slice(start, stop)


@dataclass(frozen=True)
class Tile:
    """A tile of an image."""

    rows: Span
    columns: Span

    @property
    def window(self) -> Region:
        """Core and halo, as an index into the image."""
        return ..., slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    def core(self, stride: int, size: tuple[int, int]) -> tuple[Region, Region]:
        """The core's positions in a layer: within the tile's features, and within the whole image's of ``size``."""
        (inner_rows, rows), (inner_columns, columns) = (
            self.rows.core(stride, size[0]),
            self.columns.core(stride, size[1]),
        )
        return (..., inner_rows, inner_columns), (..., rows, columns)


@functools.lru_cache
def cut(size: tuple[int, int], path: tuple[Layer, ...], pixels: float, ranks: int = 1) -> tuple[Tile, ...]:
    """The tiles of an image: in rows and columns such that the least is computed.

    Args:
        size: (height, width).
        path: the layers from the first to the deepest in use.
        pixels: of a tile with its halo, at most; where that is too few, cores are one position of the deepest layer.
        ranks: processes that share the tiles.
    """
    grid = max(strides(path).values(), default=1)
    halo = -(-reach(path) // grid) * grid
    ways = [
        (rows, columns) for rows in _partitions(size[0], halo, grid) for columns in _partitions(size[1], halo, grid)
    ]
    fitting = [way for way in ways if max(map(len, way[0])) * max(map(len, way[1])) <= pixels] or ways[-1:]

    def computed(way: tuple[list[Span], list[Span]]) -> float:
        count = len(way[0]) * len(way[1])
        return -(-count // ranks) / count * sum(map(len, way[0])) * sum(map(len, way[1]))

    rows, columns = min(fitting, key=computed)
    return tuple(Tile(row, column) for row in rows for column in columns)


def _partitions(length: int, halo: int, grid: int) -> list[list[Span]]:
    """The ways to divide an axis into spans of equal length, from the fewest spans to the most.

    Lengths are in cells of the grid; what is left over joins the last span.
    """
    cells = max(1, length // grid)
    found = []
    for step in sorted({-(-cells // count) for count in range(1, cells + 1)}, reverse=True):
        spans = []
        for cell in range(0, cells, step):
            ends = cell + step >= cells
            start, stop = cell * grid, length if ends else (cell + step) * grid
            spans.append(Span(max(0, start - halo), min(length, stop + halo), start, stop, ends))
        found.append(spans)
    return found
