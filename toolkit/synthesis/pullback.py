"""Forward to the layers in use, and the gradient back from them to the image, without autograd."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import Layer, Network
from ..network.vgg import around


class Passed(NamedTuple):
    """One layer of the way forward, what its pullback needs, and its features (1, C, h, w) if it is in use.

    ``kept``: of a ReLU, its output or where that is positive (uint8); of a pooling, the size of its input and, for max
    pooling, the positions of the maxima; of a convolution, nothing.
    """

    layer: Layer
    kept: Any
    features: Tensor | None


class Pullback:
    """A network's way from an image to some of its layers, and the gradient's way back.

    Each layer's pullback is again a simple operation. Convolution (3 x 3, stride 1, padding 1): a convolution with the
    kernel transposed in its channel axes and rotated by 180 degrees. ReLU: the gradient passes where the activation is
    positive. Average pooling: a quarter to each of four positions. Max pooling: all of it to the position that
    attained the maximum. An odd edge, which pooling drops, gets nothing. The network's weights require no gradient, so
    autograd takes no part.

    Args:
        network: whose weights, dtype, device and pooling are used.
        layers: names of the layers in use, such as ``relu4_2``.
        seamless: whether opposite edges of the image meet.

    Raises:
        ToolkitError: for an unknown layer.
    """

    def __init__(self, network: Network, layers: Iterable[str], seamless: bool = False) -> None:
        self.network, self.seamless = network, seamless
        self.layers = frozenset(layers)
        self.path = network.architecture.down_to(self.layers)

    def forward(self, image: Tensor) -> list[Passed]:
        """Runs the network to its deepest layer in use.

        Args:
            image: (1, 3, H, W), RGB in [0, 1].

        Returns:
            What ``backward`` needs of every layer, from the first to the last.

        Raises:
            ToolkitError: when the image's size does not suit the deepest layer.
        """
        trail = []
        before = image
        for layer, x in self.network.steps(image, self.layers, self.seamless):
            kept: Any = None
            if layer.kind == "relu":
                kept = x if layer.name in self.layers else x.bool().view(torch.uint8)  # all that the way back needs
            elif layer.kind == "pool":
                kept = before.shape[-2:], None
                if self.network.pooling == "max":  # pooled once more, for the positions
                    kept = before.shape[-2:], F.max_pool2d(before, 2, return_indices=True)[1]
            trail.append(Passed(layer, kept, x if layer.name in self.layers else None))
            before = x
        return trail

    def backward(self, trail: list[Passed], add_gradient: Callable[[str, Tensor, Tensor], object]) -> Tensor:
        """The gradient in the image, (1, 3, H, W) float32 or float64, of losses on the features.

        Args:
            trail: from ``forward``; it is emptied on the way, which frees memory.
            add_gradient: called for each layer in use with its name, a gradient (1, C, h, w) to add to in place, and
                the features.
        """
        gradient: Tensor | None = None
        while trail:
            layer, kept, features = trail.pop()
            if features is not None:
                gradient = torch.zeros_like(features) if gradient is None else gradient
                add_gradient(layer.name, gradient, features)
            if gradient is not None:
                gradient = self._through(layer, kept, gradient)
        assert gradient is not None, "no layer is in use"
        gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
        return self.network.preprocessing.pullback(gradient)

    def _through(self, layer: Layer, kept: Any, gradient: Tensor) -> Tensor:
        """A layer's pullback: the gradient in its output -> the gradient in its input."""
        match layer.kind:
            case "conv":
                weight = self.network.convolution(layer.name).weight
                if self.seamless:
                    return F.conv_transpose2d(around(gradient), weight, padding=2)
                return F.conv_transpose2d(gradient, weight, padding=1)
            case "relu" if kept.dtype == torch.uint8:
                return gradient.mul_(kept)
            case "relu":
                return torch.ops.aten.threshold_backward(gradient, kept, 0, grad_input=gradient)  # in place
            case "pool":
                size, indices = kept
                if indices is not None:
                    return F.max_unpool2d(gradient, indices, [2, 2], output_size=size)
                spread = F.interpolate(gradient * 0.25, scale_factor=2, mode="nearest")
                missing = (0, size[1] - spread.shape[-1], 0, size[0] - spread.shape[-2])
                return F.pad(spread, missing) if any(missing) else spread
