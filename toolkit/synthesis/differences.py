"""Features and gradients in bfloat16, nearly as exact as float32's: only what changed since a reference is rounded.

Near the end of a synthesis bfloat16 misleads: what it rounds away from the features, a 500th, is as much as they still
differ from what is wanted. So float32 goes ahead once in a while, for a reference image x0 with values z0 before every
ReLU; from there on, convolutions being linear, only differences pass through the network, d = W * (x - x0), and their
rounding shrinks with them. Behind a ReLU they are max(z0 + d, 0) - max(z0, 0) = max(d, -z0) - max(-z0, 0), where z0
matters only as far as it is no larger than d: so it is kept in bfloat16 too. Losses take the reference's features in
exactly, and of the others the difference (``Loss.add``).
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import Network
from ..network.vgg import check_size
from .pullback import Passed, Pullback, Show, mask


class DifferencePullback(Pullback):
    """A network's way to some of its layers and back, rounded but for what a reference image gave.

    ``refer`` is told the reference before the first way. Features and differences come in the type of the differences.

    Args:
        network: with average pooling.
        layers: the layers whose features are wanted.
        differing: those of them whose differences the way back needs, beside their features.
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

    #: Bytes that an activation behind a ReLU takes, when all are in use: itself and z0.
    ITEMSIZE = 4

    def __init__(
        self,
        network: Network,
        layers: Iterable[str],
        differing: Iterable[str] = (),
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        if network.pooling != "average":
            raise ValueError("differences need average pooling")
        super().__init__(network, layers, dtype)
        self.itemsize = self.ITEMSIZE
        self._differing = self.layers.intersection(differing)
        self._image = torch.empty(0)
        self._negatives: dict[str, Tensor] = {}
        self._known: dict[str, Tensor] = {}

    def refer(self, image: Tensor, show: Callable[[str, Tensor], object]) -> None:
        """Takes an image (1, 3, H, W), RGB in [0, 1], for the reference of those to come, which are of its size.

        Args:
            image: the reference.
            show: told each layer in use with the reference's features, in the network's own type.

        Raises:
            ToolkitError: when the image is too small for the deepest layer.
        """
        check_size(image, self.path)
        self._image = x = self._preprocessed(image)
        before = ""
        for layer in self.path:
            if layer.kind == "relu":
                _place(self._negatives, layer.name, x, self.dtype).copy_(x).neg_()
                x = F.relu(x) if before in self.layers else F.relu_(x)
            else:
                x = self.network.step(layer, x)
            if layer.name in self.layers:
                show(layer.name, x)
                if layer.kind != "relu":
                    _place(self._known, layer.name, x, self.dtype).copy_(x)
            before = layer.name

    def forward(self, image: Tensor, show: Show) -> list[Passed]:
        """As ``Pullback`` has it."""
        x = (self._preprocessed(image) - self._image).to(self.dtype)
        trail = []
        before = ""
        for layer in self.path:
            used = layer.name in self.layers
            kept: Any = None
            features = None
            if layer.kind == "relu":
                negative = self._negatives[layer.name]
                above = torch.maximum(x, negative, out=None if before in self.layers else x)
                floor = F.relu(negative)
                x, features = torch.sub(above, floor, out=floor), above.sub_(negative)
                kept, features = (features, features) if used else (mask(features), None)
            elif layer.kind == "pool":
                kept, x = x.shape[-2:], F.avg_pool2d(x, 2)
            else:
                x = F.conv2d(x, self.weights[layer.name], padding=1)
            if used:
                features = self._known[layer.name] + x if features is None else features
                show(layer.name, features, x)
            trail.append(Passed(layer, kept, features, x if layer.name in self._differing else None))
            before = layer.name
        return trail


def _place(tensors: dict[str, Tensor], name: str, like: Tensor, dtype: torch.dtype) -> Tensor:
    """The one that is there, if it is of that size, to be written over; else a new one."""
    if name not in tensors or tensors[name].shape != like.shape:
        tensors[name] = torch.empty_like(like, dtype=dtype)
    return tensors[name]
