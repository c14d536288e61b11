"""The way from features back to the image: gradients in closed form, without autograd.

Each layer's pullback is again a simple operation. Convolution (3 x 3, stride 1, padding 1): a convolution with the
kernel transposed in its channel axes and rotated by 180 degrees. ReLU: the gradient passes where the activation is
positive. Average pooling: a quarter to each of four positions. Max pooling: all of it to the position that attained
the maximum. An odd edge, which pooling drops, gets nothing.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .winograd import transposed

#: From the gradient with respect to a layer's output to that with respect to its input.
Back = Callable[[Tensor], Tensor]

#: Given a layer in use and the gradient with respect to its features (1, C, h, w): adds that of losses, in place.
AddGradient = Callable[[str, Tensor], object]


class Trail:
    """What a network computed on the way from an image to the layers in use, and the way back.

    ``features``: (1, C, h, w) by layer in use, in the network's order. ``backward`` empties it.

    Args:
        to_image: from the gradient with respect to the network's input, float32 or float64, to that with respect to
            the image.
    """

    def __init__(self, to_image: Back) -> None:
        self.features: dict[str, Tensor] = {}
        self._steps: list[tuple[str, Back]] = [
            ("", lambda gradient: to_image(gradient.to(torch.promote_types(gradient.dtype, torch.float32))))
        ]

    def append(self, layer: str, back: Back, features: Tensor | None) -> None:
        """Adds the next layer, with its features if it is in use."""
        self._steps.append((layer, back))
        if features is not None:
            self.features[layer] = features

    def backward(self, add_gradient: AddGradient) -> Tensor:
        """The gradient of losses on the features with respect to the image, (1, 3, H, W) float32 or float64.

        Args:
            add_gradient: called for each layer in use, from the deepest on. The features of that layer and of those
                above it are still there; each is freed after its call.
        """
        gradient: Tensor | None = None
        while self._steps:
            layer, back = self._steps.pop()
            if layer in self.features:
                gradient = torch.zeros_like(self.features[layer]) if gradient is None else gradient
                add_gradient(layer, gradient)
                del self.features[layer]
            if gradient is not None:
                gradient = back(gradient)
        assert gradient is not None, "no layer is in use"
        return gradient


def through_convolution(gradient: Tensor, weight: Tensor, seamless: bool) -> Tensor:
    """The pullback of a convolution with that weight (O, I, 3, 3), padded with zeros or, seamless, with itself."""
    if seamless:
        return F.conv_transpose2d(around(gradient), weight, padding=2)
    return transposed(gradient, weight)


def through_relu(gradient: Tensor, output_or_mask: Tensor) -> Tensor:
    """The pullback of a ReLU, in place, by its output or, in a quarter of the memory, a mask (uint8) of what passes."""
    if output_or_mask.dtype == torch.uint8:
        return gradient.mul_(output_or_mask)
    return torch.ops.aten.threshold_backward(gradient, output_or_mask, 0, grad_input=gradient)


def through_average(gradient: Tensor, size: tuple[int, int]) -> Tensor:
    """The pullback of an average pooling of an input of that size."""
    spread = F.interpolate(gradient * 0.25, scale_factor=2, mode="nearest")
    missing = (0, size[1] - spread.shape[-1], 0, size[0] - spread.shape[-2])
    return F.pad(spread, missing) if any(missing) else spread


def through_maximum(gradient: Tensor, positions: Tensor, size: tuple[int, int]) -> Tensor:
    """The pullback of a max pooling of an input of that size, whose maxima were at these positions."""
    return F.max_unpool2d(gradient, positions, [2, 2], output_size=size)


def around(x: Tensor) -> Tensor:
    """(N, C, h, w) with one position more on every side, taken from the opposite edge."""
    return F.pad(x, (1, 1, 1, 1), mode="circular")
