"""Geometry of a path of layers, from the first on: strides, reach, receptive fields, and the smallest image."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from operator import mul
from typing import NamedTuple

from ..errors import ToolkitError
from .architecture import Layer


class Back(NamedTuple):
    """A position p of a layer depends on positions factor * p + first … factor * p + last of the layer below."""

    factor: int
    first: int
    last: int


#: By kind of layer: 3 x 3 convolutions with stride 1 and padding 1, 2 x 2 poolings.
BACK = {"conv": Back(1, -1, 1), "relu": Back(1, 0, 0), "pool": Back(2, 0, 1)}


def strides(path: tuple[Layer, ...]) -> dict[str, int]:
    """By layer, the pixels from one position to the next."""
    factors = accumulate((BACK[layer.kind].factor for layer in path), mul)
    return {layer.name: stride for layer, stride in zip(path, factors, strict=True)}


def reach(path: tuple[Layer, ...]) -> int:
    """How far a position of the deepest layer sees beyond its own pixels, in pixels."""
    return -receptive_field(path, 0).start


def receptive_field(path: tuple[Layer, ...], position: int, length: int | None = None) -> range:
    """The pixels along one axis that a position of the deepest layer depends on.

    Args:
        path: ends with that layer.
        position: along the axis, from 0.
        length: of the image along the axis, in pixels; ``None`` for an image without ends. Padding is not counted,
            nor is an odd edge that a pooling drops.
    """
    lengths = []
    for layer in path:
        lengths.append(length)
        length = length if length is None else length // BACK[layer.kind].factor
    first = last = position
    for layer, below in zip(reversed(path), reversed(lengths), strict=True):
        back = BACK[layer.kind]
        first, last = back.factor * first + back.first, back.factor * last + back.last
        if below is not None:
            first, last = max(first, 0), min(last, below - 1)
    return range(first, last + 1)


def check_size(size: Sequence[int], strides: Mapping[str, int], seamless: bool = False) -> None:
    """Refuses an image that the poolings would shrink to nothing, or a seamless one of which they would drop an edge.

    Args:
        size: of the image, ending in height and width.
        strides: of the path to the deepest layer in use.
        seamless: whether opposite edges meet.

    Raises:
        ToolkitError: it says the least size, or of what the sides must be multiples.
    """
    height, width = size[-2:]
    least, deepest = max(strides.values(), default=1), next(reversed(list(strides)), "")
    if min(height, width) < least:
        raise ToolkitError(
            f"An image of {width} x {height} pixels is too small for {deepest}: "
            f"use at least {least} x {least}, so choose a larger size or shallower layers."
        )
    if seamless and (height % least or width % least):
        raise ToolkitError(
            f"An image of {width} x {height} pixels is not seamless down to {deepest}: "
            f"make both sides multiples of {least}."
        )


def bytes_of_a_pixel(path: tuple[Layer, ...]) -> float:
    """The memory that a pixel takes on the way to the deepest layer and back, in float32.

    Activations are kept for the way back; five of the largest are at work at a time.
    """
    stride = strides(path)
    kept = [layer.channels / stride[layer.name] ** 2 for layer in path if layer.kind == "relu"]
    largest = max((layer.channels / stride[layer.name] ** 2 for layer in path), default=1)
    return 4 * (sum(kept) + 5 * largest)
