"""The objective over tiles of an image, and over processes: the exact gradient of an image of any size.

A tile's core belongs to it alone; cores cover the image. Around its core a tile has a halo as wide as the deepest
layer's receptive field reaches, so that features in the core are those of the whole image, and the gradient that they
send back ends within the tile. Losses need sums over positions only: a first pass over the tiles adds them up, a second
one adds up the gradient. Processes share the tiles, and all-reduce sums and gradient.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import add
from typing import cast

import torch
from torch import Tensor

from ..distributed import ALONE, Ranks
from ..errors import TooLargeError
from ..network import Backbone, Layer
from ..network.geometry import reach, strides
from ..network.pullback import Trail
from ..optimize import Evaluation
from .inputs import Inputs
from .losses import AdditiveLoss, Features, Window
from .objective import Objective, evaluation_of
from .recipe import Recipe
from .style import statistic_of
from .targets import Targets

#: A rectangle of positions by layer.
Windows = Mapping[str, Window]


class TiledObjective(Objective):
    """What ``Objective`` computes, tile by tile.

    Args:
        network, recipe, inputs, known: as ``Objective``.
        pixels: of a tile with its halo, at most.
        ranks: the processes that share the tiles of every evaluation; all get the whole of it.

    Raises:
        ToolkitError: as ``Objective``, for what needs the whole image, and when another process is gone.
    """

    def __init__(
        self,
        network: Backbone,
        recipe: Recipe,
        inputs: Inputs,
        known: Targets | None = None,
        *,
        pixels: float = math.inf,
        ranks: Ranks = ALONE,
    ) -> None:
        check_tiles(network, recipe)
        self._pixels, self._ranks = pixels, ranks
        self._path = network.architecture.down_to(set().union(*recipe.layer_weights))
        self._strides = strides(self._path)
        super().__init__(network, recipe, inputs, known)

    def __call__(self, image: Tensor) -> Evaluation:
        losses = cast("list[AdditiveLoss]", self._losses)
        tiles = self._tiles(image)[self._ranks.rank :: self._ranks.world_size]
        like = torch.empty((), dtype=torch.promote_types(self._network.dtype, torch.float32), device=image.device)
        channels = {layer.name: layer.channels for layer in self._path}
        sums = [loss.no_sums(channels, like) for loss in losses]
        trails = []
        for tile in tiles:
            part = image[tile.window]
            if len(tiles) == 1:  # there is room to keep what the way back needs
                trails.append(self._network.trail(part, self._layers))
                added = self._sums(tile, image, trails[0].features)
            else:
                added = self._sums(tile, image, dict(self._network.walk(part, self._layers)))
            sums = [tuple(map(add, *pair)) for pair in zip(sums, added, strict=True)]
        totals = [tuple(map(self._ranks.all_reduce, own)) for own in sums]
        results = [loss.value(own) for loss, own in zip(losses, totals, strict=True)]
        gradient = torch.zeros_like(image)
        for tile in tiles:
            trail = trails.pop() if trails else self._network.trail(image[tile.window], self._layers)
            inner, outer = self._cores(tile, image)

            def add_gradient(
                layer: str, gradient: Tensor, trail: Trail = trail, inner: Windows = inner, outer: Windows = outer
            ) -> None:
                features = {name: own[inner[name]] for name, own in trail.features.items()}
                for loss, (_, slope) in zip(losses, results, strict=True):
                    if layer in loss.layers:
                        loss.within(outer).add_gradient(layer, gradient[inner[layer]], features, slope)

            gradient[tile.window] += trail.backward(add_gradient)
        values = [(loss.name, loss.weight, value) for loss, (value, _) in zip(losses, results, strict=True)]
        return evaluation_of(values, self._ranks.all_reduce(gradient), image, self.image_losses)

    def _sums(self, tile: "Tile", image: Tensor, features: Features) -> list[tuple[Tensor, ...]]:
        """Every loss's sums over the core of a tile."""
        inner, outer = self._cores(tile, image)
        core = {layer: own[inner[layer]] for layer, own in features.items()}
        return [loss.within(outer).sums(core) for loss in cast("list[AdditiveLoss]", self._losses)]

    def _parts(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor, Window]]:
        """As ``Parts``: the cores of an image's tiles."""
        for tile in self._tiles(image):
            inner, outer = self._cores(tile, image)
            for layer, features in self._network.walk(image[tile.window], layers):
                yield layer, features[inner[layer]], outer[layer]

    def _tiles(self, image: Tensor) -> tuple["Tile", ...]:
        size = (image.shape[-2], image.shape[-1])
        return cut(size, self._path, self._pixels, self._ranks.world_size)

    def _cores(self, tile: "Tile", image: Tensor) -> tuple[Windows, Windows]:
        """By layer, a tile's core within its own features and within the whole image's."""
        height, width = image.shape[-2:]
        cores = {name: tile.core(step, (height // step, width // step)) for name, step in self._strides.items()}
        return {name: core[0] for name, core in cores.items()}, {name: core[1] for name, core in cores.items()}


def check_tiles(network: Backbone, recipe: Recipe) -> None:
    """Refuses what can't be computed in tiles.

    Raises:
        ToolkitError: for another network than a VGG, a seamless texture, or the sliced statistic.
    """
    if recipe.layer_weights[1] and not statistic_of(recipe).additive:
        raise TooLargeError(
            f"The {recipe.style_statistic} statistic compares the whole image at once, without tiles or processes: "
            "use another style statistic, a smaller size, or more memory."
        )
    if recipe.seamless:
        raise TooLargeError(
            "A seamless texture is computed whole, without tiles or processes, as its edges meet: use a smaller "
            "size, or more memory."
        )
    _ = network.architecture  # which refuses where there is none


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
    def window(self) -> Window:
        """Core and halo, as an index into the image."""
        return ..., slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    def core(self, stride: int, size: tuple[int, int]) -> tuple[Window, Window]:
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
    partitions = []
    for step in sorted({-(-cells // count) for count in range(1, cells + 1)}, reverse=True):
        spans = []
        for cell in range(0, cells, step):
            ends = cell + step >= cells
            start, stop = cell * grid, length if ends else (cell + step) * grid
            spans.append(Span(max(0, start - halo), min(length, stop + halo), start, stop, ends))
        partitions.append(spans)
    return partitions
