"""A recipe's losses, bound to their targets: an image in, every loss and the gradient out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ..network import Network
from ..network.geometry import strides
from ..optimize import Evaluation, ObjectiveLike
from .losses import ContentLoss, Loss, guides_of
from .needs import check_images
from .pullback import Pullback
from .recipe import Recipe
from .style import style_loss, summary
from .total_variation import total_variation

#: Makes an objective from network, recipe, content image, style images, masks and style masks.
MakeObjective = Callable[
    [Network, Recipe, Tensor | None, Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], ObjectiveLike
]


class Objective:
    """What a recipe asks to be minimised, computed over the whole image at once.

    Several style images blend into one target, the weighted mean of their moments. With masks each style image has a
    target of its own, within its mask.

    >>> import torch, toolkit
    >>> network = toolkit.load_network("vgg19-small")
    >>> image = torch.rand(1, 3, 64, 64)
    >>> objective = Objective(network, toolkit.Recipe.preset("transfer"), content=image, styles=[image.flip(3)])
    >>> objective(image).gradient.shape
    torch.Size([1, 3, 64, 64])

    Args:
        network: on the device and in the type to compute in.
        recipe: which losses, and their weights.
        content: (1, 3, H, W), RGB in [0, 1]; needed for content losses.
        styles: (1, 3, h, w) each; needed for style losses.
        masks: where each style image is to show, (1, 1, H, W) in [0, 1] each (Gatys et al. 2017, section 4).
        style_masks: which part of each style image counts, (1, 1, h, w) in [0, 1] each; all of it when there are none.

    Raises:
        ToolkitError: for a missing image, an unknown layer, or an image too small for the deepest layer.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        masks: Sequence[Tensor] = (),
        style_masks: Sequence[Tensor] = (),
    ) -> None:
        check_images(recipe, content, styles, masks, style_masks)
        content_weights, style_weights = recipe.layer_weights
        self.runs_on = f"PyTorch on {next(network.parameters()).device}"
        self._recipe = recipe
        self._pullback = Pullback(network, {*content_weights, *style_weights}, recipe.seamless)
        features = network(content, content_weights) if content is not None and content_weights else {}
        guides, parts = (
            [guides_of(mask, strides(self._pullback.path), style_weights) for mask in each]
            for each in (masks, style_masks)
        )
        summaries = [
            {name: summary(recipe, found, part.get(name)) for name, found in network.walk(style, style_weights)}
            for style, part in zip(styles, parts or [{}] * len(styles), strict=True)
            if style_weights
        ]
        self._losses = bind(recipe, features, summaries, guides)

    def __call__(self, image: Tensor) -> Evaluation:
        """Every loss of an image (1, 3, H, W), and the gradient of their weighted sum.

        Raises:
            ToolkitError: when the image's size does not suit the deepest layer.
        """
        trail = self._pullback.forward(image)
        found = {
            layer.name: [(loss, *loss.value(loss.sums(features))) for loss in self._losses[layer.name]]
            for layer, _, features in trail
            if features is not None
        }

        def add_gradient(layer: str, gradient: Tensor, features: Tensor) -> None:
            for loss, _, slope in found[layer]:
                loss.add_gradient(gradient, features, slope)

        values = [(loss.name, loss.weight, value) for parts in found.values() for loss, value, _ in parts]
        return evaluation_of(self._recipe, image, values, self._pullback.backward(trail, add_gradient))


def bind(
    recipe: Recipe,
    features: Mapping[str, Tensor],
    summaries: Sequence[Mapping[str, Tensor]],
    guides: Sequence[Mapping[str, Tensor]] = (),
) -> dict[str, list[Loss]]:
    """A recipe's losses by layer.

    Args:
        recipe: which losses, and their weights.
        features: of the content image, (1, C, h, w) by content layer.
        summaries: of each style image, by style layer: its moments' sums (C + 1, C + 1), or sorted projections.
        guides: of each style image, (1, 1, h, w) by style layer; style images blend when there are none.
    """
    content_weights, style_weights = recipe.layer_weights
    losses: dict[str, list[Loss]] = defaultdict(list)
    for name, weight in content_weights.items():
        losses[name].append(ContentLoss.of(f"content {name}", weight, features[name], recipe.formula))
    wanted = recipe.style_image_weights or (1.0,) * len(summaries)
    shares = [share / sum(wanted) for share in wanted]
    for name, weight in style_weights.items():
        own = [summary[name] for summary in summaries]
        if guides:
            for share, summary, guide in zip(shares, own, guides, strict=True):
                losses[name].append(style_loss(recipe, name, weight * share, [summary], [1.0], guide[name]))
        else:
            losses[name].append(style_loss(recipe, name, weight, own, shares))
    return losses


def evaluation_of(
    recipe: Recipe, image: Tensor, values: Iterable[tuple[str, float, Tensor]], gradient: Tensor
) -> Evaluation:
    """An evaluation from losses on features and their gradient; the total variation joins them here.

    Args:
        recipe: for the weight of the total variation.
        image: (1, 3, H, W).
        values: name, weight and value () of each loss; those of several style images of one layer, which have the same
            name, are reported as their weighted mean.
        gradient: of their weighted sum in the image, (1, 3, H, W).
    """
    named: dict[str, list[tuple[float, Tensor]]] = defaultdict(list)
    for name, weight, value in values:
        named[name].append((weight, value))
    if weight := recipe.total_variation_weight:
        value, smoothing = total_variation(image, weight, recipe.seamless)
        gradient = gradient + smoothing
        named["total variation"].append((weight, value))
    weights = {name: sum(weight for weight, _ in parts) for name, parts in named.items()}
    sums = torch.stack([torch.stack([weight * value for weight, value in parts]).sum() for parts in named.values()])
    totals = dict(zip(named, sums.tolist(), strict=True))  # one wait for the device
    return Evaluation(sum(totals.values()), {name: total / weights[name] for name, total in totals.items()}, gradient)
