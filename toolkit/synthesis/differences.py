"""Features and gradients in bfloat16, nearly as exact as float32's: only what changed since a reference is rounded.

Near the end of a synthesis bfloat16 misleads: what it rounds away from the features, a 500th, is as much as they still
differ from what is wanted. So float32 goes ahead once in a while, for a reference image x0 with values z0 before every
ReLU; from there on, convolutions being linear, only differences pass through the network, d = W * (x - x0), and their
rounding shrinks with them. Behind a ReLU they are max(z0 + d, 0) - max(z0, 0) = max(d, -z0) - max(-z0, 0), where z0
matters only as far as it is no larger than d: so it is kept in bfloat16 too.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import Network
from ..network.vgg import check_size
from .gradient import Passed, Pullback


class DifferencePullback(Pullback):
    """A network's way to some of its layers and back, rounded but for what a reference image gave.

    ``refer`` is told the reference before the first way. Features come in the network's own type.

    Args:
        network: with average pooling.
        layers: the layers whose features are wanted.
        exact: those of them whose features the way back needs in the network's own type.
        dtype: of the differences.

    Raises:
        ValueError: when the network's pooling is max: differences do not pass through it by themselves.
        ToolkitError: for an unknown layer.
    """

    #: Evaluations for which a reference serves. Measured with the bundled network at 512 pixels, 500 evaluations of one
    #: pair of pictures: after 10, 25 and 50 each the objective ends at 5.016, 5.029 and 5.029; in float32 at 5.019, in
    #: bfloat16 alone at 5.239. With 300 of another: after 25, 100 and 300 at 3.970, 3.969, 4.035; 3.928 and 4.020.
    #: The gradient, towards the end: 2 to 5 % off ten evaluations later, 40 to 150 % in bfloat16 alone.
    SERVES = 50

    #: Bytes that an activation behind a ReLU takes: the difference, z0, and its share of the features in use.
    ITEMSIZE = 6

    def __init__(
        self,
        network: Network,
        layers: Iterable[str],
        exact: Iterable[str] = (),
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        if network.pooling != "average":
            raise ValueError("differences need average pooling")
        super().__init__(network, layers, dtype)
        self.itemsize = self.ITEMSIZE
        self._exact = frozenset(exact)
        self._weights = {name: network.convolution(name).weight.to(dtype) for name in self.kernels}
        self._image = torch.empty(0)
        self._negatives: dict[str, Tensor] = {}
        self._features: dict[str, Tensor] = {}

    def refer(self, image: Tensor) -> None:
        """Takes an image (1, 3, H, W), RGB in [0, 1], for the reference of those to come, which are of its size.

        Raises:
            ToolkitError: when the image is too small for the deepest layer.
        """
        check_size(image, self.path)
        self._image = x = self._preprocessed(image)
        for layer in self.path:
            if layer.kind == "relu":
                _keep(self._negatives, layer.name, x.to(self.dtype).neg())
            x = self.network.step(layer, x)
            if layer.name in self.layers:
                _keep(self._features, layer.name, x)

    def forward(self, image: Tensor, show: Callable[[str, Tensor], object]) -> list[Passed]:
        """As ``Pullback`` has it."""
        x = (self._preprocessed(image) - self._image).to(self.dtype)
        trail = []
        for layer in self.path:
            kept: Any = None
            if layer.kind == "relu":
                negative = self._negatives[layer.name]
                above, floor = torch.maximum(x, negative, out=x), F.relu(negative)
                x, kept = torch.sub(above, floor, out=floor), above.sub_(negative)  # the difference, the activation
            elif layer.kind == "pool":
                kept, x = x.shape[-2:], F.avg_pool2d(x, 2)
            else:
                x = F.conv2d(x, self._weights[layer.name], padding=1)
            features = None
            if layer.name in self.layers:
                known = self._features[layer.name]
                features = x.to(known.dtype, copy=True).add_(known)  # faster than the sum of two types
                show(layer.name, features)
                if layer.kind == "relu" and layer.name not in self._exact:
                    features = kept
            trail.append(Passed(layer, kept, features))
        return trail


def _keep(tensors: dict[str, Tensor], name: str, value: Tensor) -> None:
    """In the memory of the one before, so that memory does not fall into more and more pieces."""
    if name in tensors and tensors[name].shape == value.shape:
        tensors[name].copy_(value)
    else:
        tensors[name] = value
