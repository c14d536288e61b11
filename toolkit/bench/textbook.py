"""The baseline: style transfer as it is commonly written, with autograd, in float32, at one size."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..network import Layer, Network
from ..synthesis import Recipe

#: A transfer whose losses the textbook has; levels are for ours alone, as the textbook has one.
AS_TEXTBOOK = {"style_statistic": "gram", "finish": 0.0, "total_variation_weight": 0.0, "levels": 4, "coarsest": 256}


class Textbook:
    """Style transfer with a sequential VGG, channels first in memory.

    Args:
        network: whose weights to use.
        recipe: of a transfer by Gram matrices.
        content: (1, 3, H, W), RGB in [0, 1].
        style: (1, 3, h, w).
    """

    def __init__(self, network: Network, recipe: Recipe, content: Tensor, style: Tensor) -> None:
        self.recipe = recipe
        self.preprocessing = network.preprocessing
        path = network.architecture.down_to([*recipe.content_layers, *recipe.style_layers])
        self.names = [layer.name for layer in path]
        self.layers = sequential(network, path).to(content.device)
        with torch.no_grad():
            self.contents = self.features(content)
            self.grams = {name: gram(features) for name, features in self.features(style).items()}

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """The features of the layers in use."""
        x, found = self.preprocessing(image), {}
        for name, layer in zip(self.names, self.layers, strict=True):
            x = layer(x)
            if name in self.recipe.content_layers or name in self.recipe.style_layers:
                found[name] = x
        return found

    def loss(self, image: Tensor) -> Tensor:
        """The weighted sum of content and style losses."""
        found, recipe, total = self.features(image), self.recipe, image.new_zeros(())
        for name, weight in recipe.content_layers.items():
            total = total + recipe.content_weight * weight * F.mse_loss(found[name], self.contents[name])
        for name, weight in recipe.style_layers.items():
            total = total + recipe.style_weight * weight * F.mse_loss(gram(found[name]), self.grams[name])
        return total

    def optimizer(self, image: Tensor) -> torch.optim.LBFGS:
        """PyTorch's L-BFGS on the pixels: one evaluation a step, a hundred pairs, no tolerances."""
        return torch.optim.LBFGS([image], max_iter=1, history_size=100, tolerance_grad=0, tolerance_change=0)

    def evaluate(self, image: Tensor) -> float:
        """One evaluation: returns the loss, and leaves the gradient in ``image.grad``.

        The image is clamped to [0, 1] before it, as in PyTorch's tutorial.
        """
        with torch.no_grad():
            image.clamp_(0, 1)
        with torch.enable_grad():
            image.requires_grad_().grad = None
            loss = self.loss(image)
            loss.backward()
        return loss.item()


def sequential(network: Network, path: Iterable[Layer]) -> nn.Sequential:
    """Layers of a network as PyTorch modules in float32, channels first in memory, with copies of its weights."""
    layers = nn.Sequential()
    for layer in path:
        if layer.kind == "conv":
            convolution = nn.Conv2d(*network.architecture.convolutions[layer.name], 3, padding=1)
            convolution.load_state_dict(network.convolution(layer.name).state_dict())
            layers.append(convolution.to(memory_format=torch.contiguous_format))
        elif layer.kind == "relu":
            layers.append(nn.ReLU())
        else:
            layers.append(nn.AvgPool2d(2) if network.pooling == "average" else nn.MaxPool2d(2))
    return layers.requires_grad_(False)


def gram(features: Tensor) -> Tensor:
    """The Gram matrix (C, C) of features (1, C, h, w)."""
    rows = features[0].flatten(1)
    return rows @ rows.T / rows.shape[1]
