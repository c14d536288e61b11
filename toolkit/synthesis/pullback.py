"""Forward to the layers in use, and the gradient back from them to the image, without autograd."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import Layer, Network
from ..network.vgg import check_size

#: Told a layer in use with its features (1, C, h, w), and, where there is a reference, what they have beyond its.
Show = Callable[[str, Tensor, Tensor | None], object]

#: Told a layer in use with the gradient that came down to its features, and what ``Show`` was told.
AddGradient = Callable[[str, Tensor, Tensor, Tensor | None], object]


class Passed(NamedTuple):
    """What the way back needs to know of a layer that the way forward passed, and its output when it is in use.

    ``difference`` is what the output has beyond a reference's, where that is asked for.
    """

    layer: Layer
    kept: Any
    features: Tensor | None
    difference: Tensor | None = None


class Pullback:
    """A network's way to some of its layers and back.

    A 3 x 3 convolution with stride and padding 1 is pulled back by its transpose: another one, the kernel's channel
    axes swapped and the kernel rotated by 180 degrees. PyTorch has it as one operation on the weights as they are; on a
    CPU VGG-19's take as long altogether as with kernels turned beforehand, 3 % longer in bfloat16 (measured).

    Args:
        network: whose weights, dtype, device and pooling are used.
        layers: the layers whose features are wanted.
        dtype: of the way back; the network's own unless named.

    ``itemsize`` is how many bytes an activation behind a ReLU takes.

    Raises:
        ToolkitError: for an unknown layer.
    """

    def __init__(self, network: Network, layers: Iterable[str], dtype: torch.dtype | None = None) -> None:
        self.network = network
        self.layers = frozenset(layers)
        self.dtype = dtype or network.dtype
        self.itemsize = self.dtype.itemsize
        self.path = network.architecture.down_to(self.layers)
        self.weights = {
            layer.name: network.convolution(layer.name).weight.to(self.dtype)
            for layer in self.path
            if layer.kind == "conv"
        }

    def forward(self, image: Tensor, show: Show) -> list[Passed]:
        """Runs the network to its deepest layer in use.

        Args:
            image: (1, 3, H, W), RGB in [0, 1].
            show: told each layer in use with its features, on the way.

        Returns:
            The trail that ``backward`` follows; it uses the trail up.

        Raises:
            ToolkitError: when the image is too small for the deepest layer.
        """
        check_size(image, self.path)
        network = self.network
        x = self._preprocessed(image)
        trail = []
        before = ""
        for layer in self.path:
            kept: Any = None
            if layer.kind == "relu":
                x = F.relu(x) if before in self.layers else F.relu_(x)
                kept = x if layer.name in self.layers else mask(x)
            elif layer.kind == "pool":
                kept = x.shape[-2:]
                if network.pooling == "max":
                    x, indices = F.max_pool2d(x, 2, return_indices=True)
                    kept = (kept, indices)
                else:
                    x = F.avg_pool2d(x, 2)
            else:
                x = network.step(layer, x)
            trail.append(Passed(layer, kept, x if layer.name in self.layers else None))
            if layer.name in self.layers:
                show(layer.name, x, None)
            before = layer.name
        return trail

    def backward(self, trail: list[Passed], add_gradient: AddGradient) -> Tensor:
        """The gradient in the image, (1, 3, H, W), of a loss on the features.

        Args:
            trail: from ``forward``; used up, so that memory is given back on the way.
            add_gradient: told each layer in use; it adds the loss's own gradient in place.
        """
        gradient: Tensor | None = None
        while trail:
            layer, kept, features, difference = trail.pop()
            if features is not None:
                gradient = torch.zeros_like(features, dtype=self.dtype) if gradient is None else gradient
                add_gradient(layer.name, gradient, features, difference)
            if gradient is not None:
                gradient = self._through(layer, kept, gradient)
        if gradient is None:
            raise ValueError("no layer is in use")
        return self.network.preprocessing.pullback(gradient.float() if gradient.dtype.itemsize < 4 else gradient)

    def _preprocessed(self, image: Tensor) -> Tensor:
        return self.network.preprocessing(image).to(self.network.dtype, memory_format=torch.channels_last)

    def _through(self, layer: Layer, kept: Any, gradient: Tensor) -> Tensor:
        match layer.kind:
            case "conv":
                return F.conv_transpose2d(gradient, self.weights[layer.name], padding=1)
            case "relu":
                if kept.dtype == torch.uint8:
                    return gradient.mul_(kept)
                # Autograd's own kernel for it: where the activation is positive, in one sweep, in place.
                return torch.ops.aten.threshold_backward(gradient, kept, 0, grad_input=gradient)
            case "pool":
                if self.network.pooling == "max":
                    size, indices = kept
                    return F.max_unpool2d(gradient, indices, [2, 2], output_size=size)
                return _spread(gradient, kept)


def mask(activation: Tensor) -> Tensor:
    """Where what comes out of a ReLU is positive: as much as the way back needs of it, in a byte each (uint8)."""
    return activation.bool().view(torch.uint8)  # faster than a comparison, and to multiply by than bool


def _spread(gradient: Tensor, size: tuple[int, int]) -> Tensor:
    """Average pooling pulled back: a quarter to each of the four; an odd edge, never pooled, gets nothing."""
    spread = F.interpolate(gradient * 0.25, scale_factor=2, mode="nearest")
    missing = (0, size[1] - spread.shape[-1], 0, size[0] - spread.shape[-2])
    return F.pad(spread, missing) if any(missing) else spread  # padded by nothing it would be copied
