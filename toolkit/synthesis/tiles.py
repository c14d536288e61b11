"""Images in tiles, so that the exact gradient of any of them fits into memory.

A tile's core belongs to it alone; cores cover the image. Around its core a tile sees as much more as the deepest
layer's receptive field reaches, so that features in the core are those of the whole image, and the gradient that they
send back ends within the tile. Gradients of overlapping tiles add up. The gradient of a style loss needs nothing else
of the other tiles than the Gram matrix' sums: two passes give the gradient of the whole image, exactly.
"""

import functools
import math
from dataclasses import dataclass

from ..network import Layer
from .losses import Region


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels: what it sees, and its core. Poolings align with all but an image's end."""

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
        """What it sees of the image."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    def core(self, stride: int, size: tuple[int, int]) -> tuple[Region, Region]:
        """The core's positions in a layer: within the tile's features, and within the whole image's of ``size``."""
        (inner_rows, rows), (inner_columns, columns) = (
            self.rows.core(stride, size[0]),
            self.columns.core(stride, size[1]),
        )
        return (inner_rows, inner_columns), (rows, columns)


def strides(path: tuple[Layer, ...]) -> dict[str, int]:
    """By layer, the pixels from one position to the next."""
    stride, found = 1, {}
    for layer in path:
        stride *= 2 if layer.kind == "pool" else 1
        found[layer.name] = stride
    return found


def reach(path: tuple[Layer, ...]) -> int:
    """How far beyond its own pixels a position of the deepest layer sees, in pixels.

    A 3 x 3 convolution reaches one position further, a pooling starts from the further of two.
    """
    stride, further = 1, 0
    for layer in path:
        if layer.kind == "conv":
            further += stride
        elif layer.kind == "pool":
            stride *= 2
    return further


@functools.lru_cache
def cut(size: tuple[int, int], path: tuple[Layer, ...], pixels: float, ranks: int = 1) -> tuple[Tile, ...]:
    """The tiles of an image: in rows and columns such that the least is computed.

    Args:
        size: (height, width).
        path: the layers from the first to the deepest in use.
        pixels: that a tile may see at most; where that is too few, cores are one position of the deepest layer.
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
    """The ways to part an axis in spans of one length but for the last, from the fewest to the most.

    They are counted in cells of the grid; what is over joins the last.
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


def pixels_within(memory: int | None, path: tuple[Layer, ...], itemsize: int) -> float:
    """How many pixels a tile may see to be worked on within so many bytes; endless when ``None``.

    What a pixel takes: the activations behind every ReLU, kept for the way back, and three times the largest for what
    is being computed.
    """
    if memory is None:
        return math.inf
    stride = strides(path)
    kept = [layer.channels / stride[layer.name] ** 2 for layer in path if layer.kind == "relu"]
    largest = max((layer.channels / stride[layer.name] ** 2 for layer in path), default=1)
    return memory / (itemsize * (sum(kept) + 3 * largest))
