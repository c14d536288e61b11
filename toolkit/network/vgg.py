"""VGG networks: from an image to the outputs of named layers."""

import copy
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ..choices import Convention, Pooling
from ..errors import ToolkitError, did_you_mean
from .architecture import Architecture, Layer
from .codebook import Codebook
from .geometry import bytes_of_a_pixel, check_size, strides
from .pullback import Trail, around, through_average, through_convolution, through_maximum, through_relu
from .winograd import convolved

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


@dataclass(frozen=True)
class Preprocessing:
    """What turns RGB in [0, 1] into the input of ``conv1_1``.

    The channels are reordered, multiplied by ``range``, less ``mean``, divided by ``std``; the last two are in the
    network's own channel order and range.
    """

    channels: Literal["RGB", "BGR"]
    range: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] -> (N, 3, H, W), the network's input."""
        ordered = image.flip(1) if self.channels == "BGR" else image
        factor, offset = affine(self, image.dtype, image.device)
        return ordered * factor + offset

    def pullback(self, gradient: Tensor) -> Tensor:
        """From the gradient with respect to the network's input to that with respect to the image."""
        factor, _ = affine(self, gradient.dtype, gradient.device)
        scaled = gradient * factor
        return scaled.flip(1) if self.channels == "BGR" else scaled


@functools.lru_cache
def affine(preprocessing: Preprocessing, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The factor and the offset of a preprocessing, (3, 1, 1), kept: to bring them to a GPU means to wait for it."""
    values = (preprocessing.mean, preprocessing.std)
    mean, std = (torch.tensor(value, dtype=dtype, device=device).view(3, 1, 1) for value in values)
    return preprocessing.range / std, -(mean / std)


#: The input that published weights expect. ``torchvision``: the transforms of its weights. ``caffe``: the authors'
#: release, with the mean of ImageNet's training set (Simonyan & Zisserman 2015, section 2.1).
CONVENTIONS: dict[Convention, Preprocessing] = {
    "torchvision": Preprocessing("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Preprocessing("BGR", 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
}


class Network(nn.Module):
    """A VGG without its classifier, with its preprocessing and its provenance. Its weights are still to be filled in.

    Args:
        architecture: the layers.
        preprocessing: what turns RGB in [0, 1] into the input of ``conv1_1``.
        pooling: ``average`` or ``max``, 2 x 2; an odd edge is dropped.
        provenance: where the weights come from, any JSON.

    Attributes:
        mean_activations: of a normalised network, the mean activation of every filter before it was normalised:
            float64 (O) by convolution. Empty for a network as it was trained.
        codebooks: by convolution, the codebook of the weights as trained, where the file held 8-bit weights.

    Raises:
        ToolkitError: for an unknown pooling.
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
        self.codebooks: dict[str, Codebook] = {}
        self.convolutions = nn.ModuleDict(
            {name: skip_init(nn.Conv2d, i, o, 3, padding=1) for name, (i, o) in architecture.convolutions.items()}
        )
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights. The image is preprocessed in its own type and then cast to this one."""
        return next(self.parameters()).dtype

    @property
    def measured(self) -> dict[str, str]:
        """From every ReLU, behind which activations are measured, to its convolution."""
        return {name.replace("conv", "relu"): name for name in self.architecture.convolutions}

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def at(self, device: torch.device, dtype: torch.dtype) -> "Network":
        """The network on that device and in that type: itself when it is there, else a copy."""
        if (self.device, self.dtype) == (device, dtype):
            return self
        return copy.deepcopy(self).to(device=device, dtype=dtype).to(memory_format=torch.channels_last)

    def convolution(self, name: str) -> nn.Conv2d:
        """The convolution called ``name``: weight (O, I, 3, 3), bias (O)."""
        module = self.convolutions[name]
        assert isinstance(module, nn.Conv2d)
        return module

    def shapes(self, layers: Iterable[str], size: Sequence[int], seamless: bool = False) -> dict[str, tuple[int, ...]]:
        path = self.architecture.down_to(layers := set(layers))
        check_size(size, stride := strides(path), seamless)
        return {
            layer.name: (layer.channels, *(side // stride[layer.name] for side in size[-2:]))
            for layer in path
            if layer.name in layers
        }

    def bytes_of_a_pixel(self, layers: Iterable[str]) -> float:
        return bytes_of_a_pixel(self.architecture.down_to(layers))

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Runs the network down to the deepest of the named layers.

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
        path, x = self._begin(image, wanted)
        spare = False  # whether the ReLU may overwrite its input
        for layer in path:
            x = self.step(layer, x, in_place=spare)
            spare = layer.name not in wanted
            if not spare:
                yield layer.name, x

    def trail(self, image: Tensor, layers: Iterable[str], seamless: bool = False) -> Trail:
        """As ``forward``, for one image, with the way back.

        Of a ReLU that no loss uses, only where it is positive is kept. In a seamless image opposite edges meet: it is
        padded with itself, not with zeros.
        """
        wanted = set(layers)
        path, x = self._begin(image, wanted, seamless)
        trail, spare = Trail(self.preprocessing.pullback), False
        for layer in path:
            size, used = (x.shape[-2], x.shape[-1]), layer.name in wanted
            if layer.kind == "pool" and self.pooling == "max":
                x, positions = F.max_pool2d(x, 2, return_indices=True)
                back = functools.partial(through_maximum, positions=positions, size=size)
            else:
                x = self.step(layer, x, seamless, in_place=spare)
                match layer.kind:
                    case "conv":
                        weight = self.convolution(layer.name).weight
                        back = functools.partial(through_convolution, weight=weight, seamless=seamless)
                    case "relu":
                        back = functools.partial(through_relu, output_or_mask=x if used else x.bool().view(torch.uint8))
                    case "pool":
                        back = functools.partial(through_average, size=size)
            trail.append(layer.name, back, x if used else None)
            spare = not used
        return trail

    def _begin(self, image: Tensor, layers: Iterable[str], seamless: bool = False) -> tuple[tuple[Layer, ...], Tensor]:
        """The layers down to the deepest of these, and the input of the first."""
        path = self.architecture.down_to(layers)
        check_size(image.shape, strides(path), seamless)
        return path, self.preprocessing(image).to(self.dtype, memory_format=torch.channels_last)

    def step(self, layer: Layer, x: Tensor, seamless: bool = False, *, in_place: bool = False) -> Tensor:
        """The output of one layer for its input ``x`` (N, C, h, w), which a ReLU may overwrite."""
        match layer.kind:
            case "conv":
                convolution = self.convolution(layer.name)
                if seamless:
                    return F.conv2d(around(x), convolution.weight, convolution.bias)
                return convolved(x, convolution.weight, convolution.bias)
            case "relu":
                return F.relu(x, inplace=in_place)
            case "pool":
                return F.avg_pool2d(x, 2) if self.pooling == "average" else F.max_pool2d(x, 2)
