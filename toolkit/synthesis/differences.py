"""Features and gradients in bfloat16, nearly as exact as float32's: only what changed since a reference is rounded.

Near the end of a synthesis bfloat16 misleads: what it rounds away from the features, a 500th, is as much as they still
differ from what is wanted. So float32 goes ahead once in a while, for a reference image x0 with values z0 before every
ReLU; from there on, convolutions being linear, only differences pass through the network, d = W * (x - x0), and their
rounding shrinks with them. Behind a ReLU they are max(z0 + d, 0) - max(z0, 0) = max(d, -z0) - max(-z0, 0), where z0
matters only as far as it is no larger than d: so it is kept in bfloat16 too. Features in use are the reference's plus
the difference; of the reference's, beside z0, what its rounding left is kept, rounded too: 16 bits together.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import Layer, Network
from ..network.vgg import check_size
from .gradient import Passed, Pullback, Show, mask
from .strips import strips


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

    #: Bytes that an activation behind a ReLU takes, when all are in use: itself, z0, and what its rounding left.
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
        self._image = torch.empty(0)
        self._negatives: dict[str, Tensor] = {}
        self._known: dict[str, Tensor] = {}

    def refer(self, image: Tensor) -> None:
        """Takes an image (1, 3, H, W), RGB in [0, 1], for the reference of those to come, which are of its size.

        Raises:
            ToolkitError: when the image is too small for the deepest layer.
        """
        check_size(image, self.path)
        self._image = x = self._preprocessed(image)
        for layer in self.path:
            relu = layer.kind == "relu"
            if relu:
                _place(self._negatives, layer.name, x, self.dtype).copy_(x).neg_()
            x = F.relu_(x) if relu else self.network.step(layer, x)
            if layer.name in self.layers:
                known = _place(self._known, layer.name, x, self.dtype if relu else x.dtype)
                for rows in strips(x):
                    part = x[..., rows, :]
                    known[..., rows, :] = part - self._rough(layer, rows) if relu else part

    def forward(self, image: Tensor, show: Show) -> list[Passed]:
        """As ``Pullback`` has it."""
        x = (self._preprocessed(image) - self._image).to(self.dtype)
        trail = []
        for layer in self.path:
            kept: Any = None
            if layer.kind == "relu":
                negative = self._negatives[layer.name]
                above, floor = torch.maximum(x, negative, out=x), F.relu(negative)
                x, kept = torch.sub(above, floor, out=floor), above.sub_(negative)  # the difference, the activation
                kept = kept if layer.name in self.layers else mask(kept)
            elif layer.kind == "pool":
                kept, x = x.shape[-2:], F.avg_pool2d(x, 2)
            else:
                x = F.conv2d(x, self.weights[layer.name], padding=1)
            features = None
            if layer.name in self.layers:
                if layer.kind == "relu" and layer.name not in self._exact:
                    features = kept
                    for rows in strips(x):
                        show(layer.name, self._features(layer, x, rows), rows.start)
                else:
                    features = self._features(layer, x)
                    show(layer.name, features, 0)
            trail.append(Passed(layer, kept, features))
        return trail

    def _features(self, layer: Layer, difference: Tensor, rows: slice = slice(None)) -> Tensor:
        """Some rows of a layer's features; sums of one type are faster than those of two."""
        found = difference[..., rows, :].to(self.network.dtype, copy=True)
        found += self._known[layer.name][..., rows, :].to(found.dtype)
        if layer.kind == "relu":
            found += self._rough(layer, rows)
        return found

    def _rough(self, layer: Layer, rows: slice) -> Tensor:
        """Some rows of what comes out of a ReLU for the reference, as far as its negative tells."""
        return F.relu(-self._negatives[layer.name][..., rows, :]).to(self.network.dtype)


def _place(tensors: dict[str, Tensor], name: str, like: Tensor, dtype: torch.dtype) -> Tensor:
    """The one that is there, if it is of that size, to be written over; else a new one."""
    if name not in tensors or tensors[name].shape != like.shape:
        tensors[name] = torch.empty_like(like, dtype=dtype)
    return tensors[name]
