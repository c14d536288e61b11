"""What the losses of a recipe compare with: found once from a synthesis' inputs, whole or part by part."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import add

import torch
import torch.nn.functional as F
from torch import Tensor

from ..network import Backbone
from .inputs import HALF, Inputs
from .losses import EVERYWHERE, FeaturesLoss, Loss, Parts, Window
from .neighbours import CANDIDATES, Joint, NeighboursLoss, find_candidates, find_matches
from .recipe import Recipe
from .style import Summary, statistic_of


@dataclass(frozen=True)
class Targets:
    """What the losses compare with.

    ``features``: of the content image, (1, C, h, w) by content layer. ``summaries``: of each style image, by style
    layer, what its statistic needs. ``guides``: where each style image is to show, (1, 1, h, w) by style layer; the
    style images blend when there are none. ``candidates`` and ``matches``: for the finish, the vectors to choose from,
    (K, C), of each style image or of all that blend, and which of them each position gets, (h, w).
    """

    features: Mapping[str, Tensor]
    summaries: tuple[Mapping[str, Summary], ...]
    guides: tuple[Mapping[str, Tensor], ...]
    joint: Joint | None = None
    candidates: tuple[Tensor, ...] = ()
    matches: tuple[Tensor, ...] = ()


def whole(network: Backbone, image: Tensor, layers: Iterable[str]) -> Iterator[tuple[str, Tensor, Window]]:
    """The features of an image in one part."""
    return ((layer, features, EVERYWHERE) for layer, features in network.walk(image, layers))


def find_targets(
    network: Backbone, recipe: Recipe, inputs: Inputs, parts: Parts | None = None, known: Targets | None = None
) -> Targets:
    """The targets of a recipe's losses.

    Args:
        network: on the device and in the type to compute in.
        recipe: which losses.
        inputs: of the result's size.
        parts: runs the network over an image part by part; over the whole at once when there is none.
        known: earlier targets of the same style images: their style part is used again, only the content's is computed.

    Raises:
        ToolkitError: for an unknown layer, or an image too small for the deepest layer.
    """
    parts = parts or functools.partial(whole, network)
    content_weights, style_weights = recipe.layer_weights
    features: dict[str, Tensor] = {}
    if inputs.content is not None and content_weights:
        shapes = network.shapes(content_weights, inputs.content.shape)
        for layer, part, window in parts(inputs.content, content_weights):
            if window == EVERYWHERE:
                features[layer] = part
                continue
            if layer not in features:
                empty = part.new_empty(1, *shapes[layer])
                features[layer] = empty.contiguous(memory_format=torch.channels_last)
            features[layer][window] = part
    if not style_weights:
        return Targets(features, (), ())
    guides = tuple(guides_of(mask, network.shapes(style_weights, mask.shape)) for mask in inputs.masks)
    if known:
        return replace(known, features=features, guides=guides, joint=None, matches=())
    statistic = statistic_of(recipe)
    counted = [guides_of(mask, network.shapes(style_weights, mask.shape)) for mask in inputs.style_masks]
    summaries: list[dict[str, Summary]] = [{} for _ in inputs.styles]
    for number, (style, summary) in enumerate(zip(inputs.styles, summaries, strict=True)):
        for layer, part, window in parts(style, style_weights):
            own = statistic.summary(part, counted[number][layer][window] if counted else None, recipe.seed)
            summary[layer] = tuple(map(add, summary[layer], own)) if layer in summary else own
    return Targets(features, tuple(summaries), guides)


def matched(
    targets: Targets, network: Backbone, recipe: Recipe, inputs: Inputs, image: Tensor, parts: Parts | None = None
) -> Targets:
    """The targets with the nearest neighbours of an image, (1, 3, H, W), for the finish.

    Style images that blend are chosen from together, each with as many vectors as its share says. With masks each has
    vectors of its own, and with style masks only those from its bright part.

    Args:
        targets: of the same inputs; their candidates are kept.
        network, recipe, inputs, parts: as ``find_targets``.
        image: of the result's size.
    """
    parts = parts or functools.partial(whole, network)
    weights = recipe.layer_weights[1]
    shapes = network.shapes(weights, image.shape)
    joint = targets.joint or Joint.of(weights, shapes, image.shape[-2:])
    candidates = targets.candidates
    if not candidates:
        shares = [1.0] * len(inputs.styles) if inputs.masks else recipe.shares(len(inputs.styles))
        found = []
        for number, (style, share) in enumerate(zip(inputs.styles, shares, strict=True)):
            sides = network.shapes([joint.grid], style.shape)[joint.grid][1:]
            allowed = torch.ones(sides, dtype=torch.bool, device=style.device)
            if inputs.style_masks:
                brightness = F.interpolate(inputs.style_masks[number], sides, mode="area")[0, 0]
                allowed = brightness >= brightness.max().clamp(max=HALF)  # of a dim mask, its brightest
            found.append(find_candidates(joint, parts, style, allowed, round(CANDIDATES * share), recipe.seed))
        candidates = tuple(found) if inputs.masks else (torch.cat(found),)
    matches = find_matches(joint, parts, image, candidates, shapes[joint.grid][1:])
    return replace(targets, joint=joint, candidates=candidates, matches=tuple(matches))


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
        losses.append(FeaturesLoss(layer, weight, target, size, size / 2 if paper else 1.0))
    scale = statistic.scale * (0.25 if paper else 1.0)
    shares = recipe.shares(len(targets.summaries))
    for layer, weight in style_weights.items():
        own = [summary[layer] for summary in targets.summaries]
        # Each style image has a target of its own within its mask; without masks they share one, everywhere.
        if not targets.guides:
            losses.append(statistic.towards(own, shares, recipe.seed)(layer, weight, scale=scale))
        for summary, share, guide in zip(own, shares, targets.guides, strict=bool(targets.guides)):
            make = statistic.towards([summary], [1.0], recipe.seed)
            losses.append(make(layer, weight * share, guide=guide[layer], scale=scale))
    if targets.joint:
        weight, joint = recipe.finish * sum(style_weights.values()), targets.joint
        within = [guide[joint.grid][0, 0] for guide in targets.guides]
        for number, (candidates, matches) in enumerate(zip(targets.candidates, targets.matches, strict=True)):
            share, where = (shares[number], within[number]) if within else (1.0, None)
            losses.append(NeighboursLoss(weight * share, joint, candidates, matches, where))
    return losses
