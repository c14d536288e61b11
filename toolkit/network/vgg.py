"""VGG networks as data: which layers there are, and the run from an image to the named ones."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ToolkitError, did_you_mean

Pooling = Literal["average", "max"]
POOLINGS: tuple[Pooling, ...] = ("average", "max")

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
    """A VGG's topology.

    Args:
        name: a key of ``DEPTHS``.
        widths: filters per block, five numbers; or per convolution, which become five again where blocks are even.
    """

    name: str
    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        if self.name not in DEPTHS:
            raise ToolkitError(f"Unknown architecture {self.name!r}: {did_you_mean(self.name, DEPTHS)}")
        depths = DEPTHS[self.name]
        if len(self.widths) not in (5, sum(depths)) or min(self.widths) < 1:
            raise ToolkitError(
                f"A {self.name} has five blocks or {sum(depths)} convolutions of at least one filter each, "
                f"not {self.widths}."
            )
        blocks = self._blocks
        if all(len(set(block)) == 1 for block in blocks):
            object.__setattr__(self, "widths", tuple(block[0] for block in blocks))

    @property
    def _blocks(self) -> list[tuple[int, ...]]:
        """By block, its convolutions' filters."""
        depths = DEPTHS[self.name]
        if len(self.widths) == 5:
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
        return tuple(layers)

    @cached_property
    def convolutions(self) -> dict[str, tuple[int, int]]:
        """From each convolution's name to its (input, output) channels, in order."""
        outputs = [layer for layer in self.layers if layer.kind == "conv"]
        inputs = [3, *(layer.channels for layer in outputs[:-1])]
        return {layer.name: (i, layer.channels) for i, layer in zip(inputs, outputs, strict=True)}

    def down_to(self, names: Iterable[str]) -> tuple[Layer, ...]:
        """The layers from the first to the deepest of ``names``.

        Raises:
            ToolkitError: for a name that is no layer of this network; it says the nearest names.
        """
        order = {layer.name: index for index, layer in enumerate(self.layers)}
        for name in (names := list(names)):
            if name not in order:
                raise ToolkitError(f"Unknown layer {name!r} of {self.name}: {did_you_mean(name, order)}")
        return self.layers[: 1 + max((order[name] for name in names), default=-1)]


@dataclass(frozen=True)
class Preprocessing:
    """What turns RGB in [0, 1] into the network's input: reorder, times ``range``, minus ``mean``, over ``std``.

    ``mean`` and ``std`` are in the network's own channel order and range.
    """

    channels: Literal["RGB", "BGR"]
    range: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] -> (N, 3, H, W), the network's input."""
        ordered = image.flip(1) if self.channels == "BGR" else image
        return ordered * self._factor(image) + self._offset(image)

    def pullback(self, gradient: Tensor) -> Tensor:
        """The gradient in the network's input -> the gradient in the image."""
        scaled = gradient * self._factor(gradient)
        return scaled.flip(1) if self.channels == "BGR" else scaled

    def _factor(self, like: Tensor) -> Tensor:
        return self.range / torch.tensor(self.std, dtype=like.dtype, device=like.device).view(3, 1, 1)

    def _offset(self, like: Tensor) -> Tensor:
        mean, std = (torch.tensor(v, dtype=like.dtype, device=like.device) for v in (self.mean, self.std))
        return -(mean / std).view(3, 1, 1)


#: How the published weights want their input. ``torchvision``: its weights' own transforms; ``caffe``: the
#: authors' release, whose mean is that of ImageNet's training set (Simonyan & Zisserman 2015, section 2.1).
CONVENTIONS: dict[str, Preprocessing] = {
    "torchvision": Preprocessing("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Preprocessing("BGR", 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
}


class Network(nn.Module):
    """A VGG without its classifier, together with its preprocessing and its provenance.

    Args:
        architecture: the topology.
        preprocessing: what turns RGB in [0, 1] into the input of ``conv1_1``.
        pooling: ``average`` or ``max``, two by two, an odd edge dropped.
        provenance: where the weights come from, any JSON.

    ``mean_activations`` holds, for a normalised network, the mean activation of every filter of the network
    it was made from: float64 (O) by convolution, so that the original can be had back. It is empty otherwise.
    """

    def __init__(
        self,
        architecture: Architecture,
        preprocessing: Preprocessing,
        *,
        pooling: Pooling = "average",
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ToolkitError(f"Unknown pooling {pooling!r}: {did_you_mean(pooling, POOLINGS)}")
        self.architecture = architecture
        self.preprocessing = preprocessing
        self.pooling: Pooling = pooling
        self.provenance = dict(provenance or {})
        self.mean_activations: dict[str, Tensor] = {}
        self.convolutions = nn.ModuleDict(
            {name: nn.Conv2d(i, o, 3, padding=1) for name, (i, o) in architecture.convolutions.items()}
        )
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights; the image is preprocessed in its own and then cast to this one."""
        return next(self.parameters()).dtype

    def convolution(self, name: str) -> nn.Conv2d:
        """The convolution called ``name``, its weight (O, I, 3, 3) and bias (O)."""
        module = self.convolutions[name]
        assert isinstance(module, nn.Conv2d)
        return module

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Runs the network as far as the deepest of the named layers.

        Args:
            image: (N, 3, H, W), RGB in [0, 1].
            layers: names, such as ``relu4_2``.

        Returns:
            From each name to its output, (N, C, h, w), in the network's order.

        Raises:
            ToolkitError: for an unknown layer, or an image too small to reach the deepest one.
        """
        return dict(self.walk(image, layers))

    def walk(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """As ``forward``, but lazily: at most two layers' outputs are alive at a time."""
        wanted = set(layers)
        return ((layer.name, x) for layer, x in self.steps(image, wanted) if layer.name in wanted)

    def steps(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[Layer, Tensor]]:
        """Every layer on the way to the deepest of ``layers``, with its output (N, C, h, w).

        Outputs of the named layers stay as they are; a ReLU overwrites those of other convolutions.
        """
        wanted = set(layers)
        path = self.architecture.down_to(wanted)
        check_size(image, path)
        x = self.preprocessing(image).to(self.dtype, memory_format=torch.channels_last)
        given = True
        for layer in path:
            x = F.relu_(x) if layer.kind == "relu" and not given else self.step(layer, x)
            given = layer.name in wanted
            yield layer, x

    def step(self, layer: Layer, x: Tensor) -> Tensor:
        """The output of one layer for its input ``x`` (N, C, h, w)."""
        match layer.kind:
            case "conv":
                convolution = self.convolution(layer.name)
                return F.conv2d(x, convolution.weight, convolution.bias, padding=1)
            case "relu":
                return F.relu(x)
            case "pool":
                return F.avg_pool2d(x, 2) if self.pooling == "average" else F.max_pool2d(x, 2)


def check_size(image: Tensor, path: tuple[Layer, ...]) -> None:
    """Refuses an image that the poolings on the way would shrink to nothing."""
    height, width = image.shape[-2:]
    least = 2 ** sum(layer.kind == "pool" for layer in path)
    if min(height, width) < least:
        raise ToolkitError(
            f"An image of {width} x {height} pixels is too small for {path[-1].name}: "
            f"use at least {least} x {least}, or shallower layers."
        )
