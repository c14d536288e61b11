"""Receptive fields: which pixels a position of a layer depends on."""

from typing import NamedTuple

from .vgg import Layer


class Back(NamedTuple):
    """What a position p of a layer takes from the layer below: factor x p + first … factor x p + last."""

    factor: int
    first: int
    last: int


#: By a layer's kind: 3 x 3 convolutions of stride and padding 1, poolings two by two.
BACK = {"conv": Back(1, -1, 1), "relu": Back(1, 0, 0), "pool": Back(2, 0, 1)}


def receptive_field(path: tuple[Layer, ...], position: int, length: int | None = None) -> range:
    """The pixels along one axis that a position of the deepest layer depends on.

    Args:
        path: the layers from the first to that one.
        position: along the axis, from 0.
        length: of the image along the axis, in pixels; endless both ways when ``None``. Padding is no pixel, nor is
            an odd edge that a pooling on the way drops.
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
