"""A recipe's losses, bound to their targets: an image in, every loss and the gradient out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..network import Backbone
from ..optimize import Evaluation
from .image_losses import ImageLoss, image_losses_of
from .inputs import Inputs
from .losses import Window
from .recipe import Recipe
from .targets import Targets, find_targets, losses_of, matched, whole


class ObjectiveLike(Protocol):
    """What a synthesis minimises: an image in, an ``Evaluation`` out.

    Computed over a whole image, over tiles and processes, or by ONNX Runtime. ``runs_on`` says what computes.
    """

    runs_on: str

    def __call__(self, image: Tensor, /) -> Evaluation:
        """Every loss, and the gradient of their weighted sum."""

    def match(self, image: Tensor, /) -> None:
        """Adds the finish, a loss against the nearest neighbours of an image, or finds them anew."""


#: Makes an objective from a network, a recipe and inputs of the result's size.
MakeObjective = Callable[[Backbone, Recipe, Inputs], ObjectiveLike]


class Objective:
    """What a recipe asks to be minimised, computed over the whole image at once.

    Several style images blend into one target, the weighted mean of their moments. With masks each style image has a
    target of its own, within its mask.

    >>> import torch, toolkit
    >>> network = toolkit.load_network("vgg19-small")
    >>> image = torch.rand(1, 3, 64, 64)
    >>> objective = Objective(network, toolkit.Recipe.preset("transfer"), Inputs(image, [image.flip(3)]))
    >>> objective(image).gradient.shape
    torch.Size([1, 3, 64, 64])

    Args:
        network: on the device and in the type to compute in.
        recipe: which losses, and their weights.
        inputs: of the result's size, on that device: content, styles and masks.
        known: earlier targets, as ``find_targets``.

    Raises:
        ToolkitError: for a missing image, an unknown layer, or an image too small for the deepest layer.
    """

    def __init__(self, network: Backbone, recipe: Recipe, inputs: Inputs, known: Targets | None = None) -> None:
        inputs.check(recipe)
        self.runs_on = f"PyTorch on {network.device}"
        self._network, self._recipe, self._inputs = network, recipe, inputs
        self._layers, self.image_losses = set().union(*recipe.layer_weights), image_losses_of(recipe)
        self._aim(find_targets(network, recipe, inputs, self._parts, known))

    def _aim(self, targets: Targets) -> None:
        self.targets, self._losses = targets, losses_of(self._recipe, targets)

    def _parts(self, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor, Window]]:
        """As ``Parts``: the whole image."""
        return whole(self._network, image, layers)

    def match(self, image: Tensor) -> None:
        """Adds the finish, a loss against the nearest neighbours of an image (1, 3, H, W), or finds them anew."""
        self._aim(matched(self.targets, self._network, self._recipe, self._inputs, image, self._parts))

    def __call__(self, image: Tensor) -> Evaluation:
        """Every loss of an image (1, 3, H, W), and the gradient of their weighted sum.

        Raises:
            ToolkitError: when the image's size does not suit the deepest layer.
        """
        trail = self._network.trail(image, self._layers, self._recipe.seamless)
        parts = [(loss, *loss.value(loss.sums(trail.features))) for loss in self._losses]

        def add_gradient(layer: str, gradient: Tensor) -> None:
            for loss, _, slope in parts:
                if layer in loss.layers:
                    loss.add_gradient(layer, gradient, trail.features, slope)

        gradient = trail.backward(add_gradient)
        return evaluation_of(
            [(loss.name, loss.weight, value) for loss, value, _ in parts], gradient, image, self.image_losses
        )


def evaluation_of(
    values: Iterable[tuple[str, float, Tensor]], gradient: Tensor, image: Tensor, image_losses: Sequence[ImageLoss]
) -> Evaluation:
    """An evaluation from the losses on features and those on the image.

    Args:
        values: name, weight and value () of each loss on features; those of several style images of one layer, which
            have the same name, are reported as their weighted mean.
        gradient: of their weighted sum with respect to the image, (1, 3, H, W).
        image: (1, 3, H, W).
        image_losses: the others.
    """
    named: dict[str, list[tuple[float, Tensor]]] = defaultdict(list)
    for name, weight, value in values:
        named[name].append((weight, value))
    for loss in image_losses:
        value, own = loss(image)
        gradient = gradient + own
        named[loss.name].append((loss.weight, value))
    objective = torch.stack([weight * value for parts in named.values() for weight, value in parts]).sum()
    return Evaluation(objective, {name: _mean(parts) for name, parts in named.items()}, gradient)


def _mean(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    """The mean of values, each by its weight."""
    if len(parts) == 1:
        return parts[0][1]
    weights = sum(weight for weight, _ in parts)
    return torch.stack([weight * value for weight, value in parts]).sum() / weights
