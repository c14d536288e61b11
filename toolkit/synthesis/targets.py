"""What the losses of a recipe compare with: found once from a synthesis' inputs, whole or part by part."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import add

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import Backbone
from .inputs import Inputs
from .losses import ContentLoss, Loss, Region
from .recipe import Recipe
from .style import Summary, statistic_of

#: An image and layers -> by layer and part of the image: the features of the part, and where in the whole they are.
Parts = Callable[[Tensor, Iterable[str]], Iterator[tuple[str, Tensor, Region]]]

#: All of an image, or of its features.
EVERYWHERE: Region = (..., slice(None), slice(None))


@dataclass(frozen=True)
class Targets:
    """What the losses compare with.

    ``features``: of the content image, (1, C, h, w) by content layer. ``summaries``: of each style image, by style
    layer, what its statistic needs. ``guides``: where each style image is to show, (1, 1, h, w) by style layer; the
    style images blend when there are none.
    """

    features: Mapping[str, Tensor]
    summaries: tuple[Mapping[str, Summary], ...]
    guides: tuple[Mapping[str, Tensor], ...]


def whole(network: Backbone, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor, Region]]:
    """The features of an image in one part."""
    return ((layer, features, EVERYWHERE) for layer, features in network.walk(image, layers))


def find_targets(network: Backbone, recipe: Recipe, inputs: Inputs, parts: Parts | None = None) -> Targets:
    """The targets of a recipe's losses.

    Args:
        network: on the device and in the type to compute in.
        recipe: which losses.
        inputs: of the result's size.
        parts: runs the network over an image part by part; over the whole at once when there is none.

    Raises:
        ToolkitError: for an unknown layer, or an image too small for the deepest layer.
    """
    parts = parts or functools.partial(whole, network)
    content_weights, style_weights = recipe.layer_weights
    features: dict[str, Tensor] = {}
    if inputs.content is not None and content_weights:
        shapes = network.shapes(content_weights, inputs.content.shape)
        for layer, part, region in parts(inputs.content, content_weights):
            if region == EVERYWHERE:
                features[layer] = part
                continue
            if layer not in features:
                empty = part.new_empty(1, *shapes[layer])
                features[layer] = empty.contiguous(memory_format=torch.channels_last)
            features[layer][region] = part
    if not style_weights:
        return Targets(features, (), ())
    statistic = statistic_of(recipe)
    counted = [guides_of(mask, network.shapes(style_weights, mask.shape)) for mask in inputs.style_masks]
    summaries: list[dict[str, Summary]] = [{} for _ in inputs.styles]
    for number, (style, summary) in enumerate(zip(inputs.styles, summaries, strict=True)):
        for layer, part, region in parts(style, style_weights):
            own = statistic.summary(part, counted[number][layer][region] if counted else None, recipe.seed)
            summary[layer] = tuple(map(add, summary[layer], own)) if layer in summary else own
    guides = [guides_of(mask, network.shapes(style_weights, mask.shape)) for mask in inputs.masks]
    return Targets(features, tuple(summaries), tuple(guides))


def guides_of(mask: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A mask at the sizes of layers, squared: how much each position counts (Gatys et al. 2017, section 4).

    Args:
        mask: (1, 1, H, W) in [0, 1], of the image's size.
        shapes: by layer, (C, h, w).

    Returns:
        By layer, (1, 1, h, w).
    """
    return {layer: F.interpolate(mask, shape[1:], mode="area").square() for layer, shape in shapes.items()}


def losses_of(recipe: Recipe, targets: Targets) -> list[Loss]:
    """The losses on features that a recipe asks for. Its formula is decided here, by their scale alone.

    The paper's content loss is half the sum of squares, where ours is their mean (Gatys, Ecker & Bethge 2016, equation
    1). Its style loss is a quarter of ours, E_l = sum (F Fᵀ - A)² / (4 C² M²) (equation 4).
    """
    content_weights, style_weights = recipe.layer_weights
    paper, statistic = recipe.formula == "paper", statistic_of(recipe)
    losses: list[Loss] = []
    for layer, weight in content_weights.items():
        target = targets.features[layer]
        size = target.numel()
        losses.append(ContentLoss(layer, weight, target, size, size / 2 if paper else 1.0))
    scale = statistic.scale * (0.25 if paper else 1.0)
    shares = recipe.shares(len(targets.summaries))
    for layer, weight in style_weights.items():
        own = [summary[layer] for summary in targets.summaries]
        # Each style image has a target of its own within its mask; without masks they share one, everywhere.
        if not targets.guides:
            losses.append(statistic.against(own, shares, recipe.seed)(layer, weight, scale=scale))
        for summary, share, guide in zip(own, shares, targets.guides, strict=bool(targets.guides)):
            make = statistic.against([summary], [1.0], recipe.seed)
            losses.append(make(layer, weight * share, guide=guide[layer], scale=scale))
    return losses
