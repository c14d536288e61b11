"""VGG networks as data: which layers there are, and how many filters each has."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple

from ..errors import ToolkitError, did_you_mean

#: Convolutions per block (Simonyan & Zisserman 2015, table 1, columns A, B, D and E).
DEPTHS: dict[str, tuple[int, ...]] = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}

#: Filters per block of the published networks (same table).
WIDTHS = (64, 128, 256, 512, 512)


class Layer(NamedTuple):
    """One step of the network, and the number of channels that come out of it."""

    name: str
    kind: Literal["conv", "relu", "pool"]
    channels: int


@dataclass(frozen=True)
class Architecture:
    """The layers of a VGG.

    Args:
        name: a key of ``DEPTHS``.
        widths: filters per block, or per convolution.
        last: the last convolution, for a network that ends early, such as ``conv5_1``; its ReLU is the last layer.
            Empty for the whole network, which ends with ``pool5``.

    Raises:
        ToolkitError: when there is no such VGG, or the widths do not match it.

    Example:
        >>> Architecture("vgg19").convolutions["conv4_1"]
        (256, 512)
    """

    name: str
    widths: tuple[int, ...] = WIDTHS
    last: str = ""

    def __post_init__(self) -> None:
        if self.name not in DEPTHS:
            raise ToolkitError(f"Unknown architecture {self.name!r}: {did_you_mean(self.name, DEPTHS)}")
        depths = self._depths
        if len(self.widths) not in (len(depths), sum(depths)) or min(self.widths) < 1:
            raise ToolkitError(
                f"A {self.name} has {len(depths)} blocks or {sum(depths)} convolutions of at least one filter each, "
                f"not {self.widths}."
            )
        blocks = self._blocks
        if all(len(set(block)) == 1 for block in blocks):
            object.__setattr__(self, "widths", tuple(block[0] for block in blocks))

    @property
    def _depths(self) -> tuple[int, ...]:
        """Convolutions per block, down to the last one."""
        depths = DEPTHS[self.name]
        if not self.last:
            return depths
        names = [f"conv{block}_{number + 1}" for block, depth in enumerate(depths, 1) for number in range(depth)]
        if self.last not in names:
            raise ToolkitError(f"Unknown convolution {self.last!r} of {self.name}: {did_you_mean(self.last, names)}")
        block, number = map(int, self.last.removeprefix("conv").split("_"))
        return (*depths[: block - 1], number)

    @property
    def _blocks(self) -> list[tuple[int, ...]]:
        """By block, the filters of its convolutions."""
        depths = self._depths
        if len(self.widths) == len(depths):
            return [(width,) * depth for depth, width in zip(depths, self.widths, strict=True)]
        ends = list(accumulate(depths))
        return [self.widths[end - depth : end] for depth, end in zip(depths, ends, strict=True)]

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer in order: ``conv1_1``, ``relu1_1``, … ``pool5``."""
        layers = []
        for block, widths in enumerate(self._blocks, 1):
            for number, width in enumerate(widths, 1):
                layers.append(Layer(f"conv{block}_{number}", "conv", width))
                layers.append(Layer(f"relu{block}_{number}", "relu", width))
            layers.append(Layer(f"pool{block}", "pool", widths[-1]))
        return tuple(layers[:-1] if self.last else layers)

    @cached_property
    def convolutions(self) -> dict[str, tuple[int, int]]:
        """From each convolution's name to its (input, output) channels, in order."""
        outputs = [layer for layer in self.layers if layer.kind == "conv"]
        inputs = [3, *(layer.channels for layer in outputs[:-1])]
        return {layer.name: (i, layer.channels) for i, layer in zip(inputs, outputs, strict=True)}

    def down_to(self, names: Iterable[str]) -> tuple[Layer, ...]:
        """The layers from the first to the deepest of ``names``.

        Raises:
            ToolkitError: for a name that is not a layer of this network; it suggests the nearest names.
        """
        order = {layer.name: index for index, layer in enumerate(self.layers)}
        for name in (names := list(names)):
            if name not in order:
                raise ToolkitError(f"Unknown layer {name!r} of {self.name}: {did_you_mean(name, order)}")
        return self.layers[: 1 + max((order[name] for name in names), default=-1)]
