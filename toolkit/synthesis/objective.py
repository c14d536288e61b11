"""A recipe's losses, bound to their targets: an image in, every loss and the gradient out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ToolkitError
from ..network import Network
from .gradient import Pullback
from .losses import content_loss, gram_matrix, style_loss, total_variation
from .recipe import Recipe


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: the weighted sum, each loss before its weight, and the sum's gradient in the image."""

    objective: float
    losses: dict[str, float]
    gradient: Tensor


class Objective:
    """What a recipe asks to be minimised.

    Several style images blend into one target, the weighted mean of their Gram matrices; its gradient is that
    of the weighted sum of their losses.

    Args:
        network: on the device and in the precision to compute in.
        recipe: which losses, and their weights.
        content: (1, 3, H, W), RGB in [0, 1]; needed for content losses.
        styles: (1, 3, h, w) each; needed for style losses.

    ``runs_on`` says what computes, and where.

    Raises:
        ToolkitError: for a missing image, an unknown layer, or an image too small for the deepest layer.
    """

    def __init__(
        self, network: Network, recipe: Recipe, content: Tensor | None = None, styles: Sequence[Tensor] = ()
    ) -> None:
        self.recipe = recipe
        self.runs_on = f"PyTorch on {next(network.parameters()).device}"
        self.content_weights = _scaled(recipe.content_layers, recipe.content_weight)
        self.style_weights = _scaled(recipe.style_layers, recipe.style_weight)
        if self.content_weights and content is None:
            raise ToolkitError(f"A {recipe.synthesis} needs a content image: name one.")
        if self.style_weights and not styles:
            raise ToolkitError(f"A {recipe.synthesis} needs a style image: name at least one.")
        shares = recipe.style_image_weights or (1.0,) * len(styles)
        if styles and len(shares) != len(styles):
            raise ToolkitError(f"There are {len(styles)} style images but {len(shares)} weights for them.")
        self.pullback = Pullback(network, {*self.content_weights, *self.style_weights})
        self.content_targets = network(content, self.content_weights) if self.content_weights else {}
        self.style_targets: dict[str, Tensor] = {}
        if self.style_weights:
            for style, share in zip(styles, shares, strict=True):
                for name, features in network(style, self.style_weights).items():
                    gram = gram_matrix(features) * (share / sum(shares))
                    self.style_targets[name] = self.style_targets.get(name, 0) + gram

    def __call__(self, image: Tensor) -> Evaluation:
        """Every loss of an image (1, 3, H, W), and the gradient of their weighted sum."""
        losses, gradient = self.network_losses(image)
        weights = {f"content {name}": weight for name, weight in self.content_weights.items()}
        weights |= {f"style {name}": weight for name, weight in self.style_weights.items()}
        if weight := self.recipe.total_variation_weight:
            weights["total variation"] = weight
            losses["total variation"], smoothing = total_variation(image, weight)
            gradient = gradient + smoothing
        values = torch.stack(list(losses.values())).tolist()  # one wait for the device
        named = dict(zip(losses, values, strict=True))
        return Evaluation(sum(weight * named[name] for name, weight in weights.items()), named, gradient)

    def network_losses(self, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Content and style losses of an image by name (``style relu1_1``), and the gradient of their weighted sum."""
        formula = self.recipe.formula
        features, trail = self.pullback.forward(image)
        losses: dict[str, Tensor] = {}
        gradients: dict[str, Tensor] = {}
        for name, weight in self.content_weights.items():
            loss, gradients[name] = content_loss(features[name], self.content_targets[name], weight, formula)
            losses[f"content {name}"] = loss
        for name, weight in self.style_weights.items():
            loss, gradient = style_loss(features[name], self.style_targets[name], weight, formula)
            gradients[name] = gradients[name].add_(gradient) if name in gradients else gradient
            losses[f"style {name}"] = loss
        features.clear()
        return losses, self.pullback.backward(trail, gradients)


def _scaled(layers: dict[str, float], weight: float) -> dict[str, float]:
    return {name: weight * share for name, share in layers.items() if weight * share > 0}
