"""What is left of a content and of a style in a picture, under a network: one instrument for every comparison."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ToolkitError
from ..network import Backbone
from ..pictures.io import cover, fit, resize
from ..synthesis import Inputs, Objective, Recipe
from ..synthesis.neighbours import AT_ONCE, Joint
from ..synthesis.targets import whole

#: A loss below it is rounding.
LEAST = 1e-12

#: Cycles a pixel from which on detail is grain.
GRAIN = 0.35

#: The layer whose features' products tell the structure of an image.
STRUCTURE = "relu3_1"


class Judgement(NamedTuple):
    """By layer, shares of a loss; and how a picture is painted.

    ``content``: the picture's content loss over that of the style image, which holds none of the content.
    ``style``: the picture's style loss over that of the content image, which holds none of the style.
    ``style_of_all``: the same for all style layers together, by the recipe's weights.
    ``frechet``: the picture's Fréchet distance from the style image over that of the content image; squared, between
    Gaussians of the features' means and covariances (Heusel et al. 2017, equation 6).
    ``structure``: the picture's ``structure_distance`` from the content image, over that of the style image.
    ``invention``: the mean centred cosine distance from the picture's joined features, see ``neighbours``, to the
    nearest of the style image's: how much of the picture is not in the painting. ``coverage``: the same, back: how much
    of the painting is not in the picture. ``grain``: the share of the brightness' spectral energy from ``GRAIN`` on,
    over that of the style image.
    """

    content: dict[str, float]
    style: dict[str, float]
    style_of_all: float
    frechet: dict[str, float]
    structure: float
    invention: float
    coverage: float
    grain: float


def judge(
    network: Backbone, picture: Tensor, content: Tensor, style: Tensor, recipe: Recipe | None = None
) -> Judgement:
    """Compares a picture with the content image and the style image that it was made from.

    The content image is resized to the picture's size, the style image as a synthesis of that size does.

    Args:
        network: the judge; best the normalised VGG-19.
        picture: (1, 3, H, W), RGB in [0, 1].
        content: (1, 3, h, w), in the picture's proportions.
        style: (1, 3, h, w).
        recipe: which layers, and the size of the style image; a transfer's, by Gram matrices, when there is none.

    Raises:
        ToolkitError: when picture and content have other proportions, content and style are alike, the style is plain,
            or an image is too small.
    """
    recipe = recipe or Recipe.preset("transfer", style_statistic="gram")
    height, width = picture.shape[-2:]
    if abs(content.shape[-1] * height - content.shape[-2] * width) > 0.02 * content.shape[-1] * height:
        raise ToolkitError("The picture and the content image have other proportions: name the image it was made from.")
    photograph = resize(content, (height, width))
    painting = fit(style, max(1, round(max(height, width) * recipe.style_scale)))
    if (fine := grain(painting)) < LEAST:
        raise ToolkitError("The style image has no fine detail to compare with: name one that is not of plain colour.")
    inputs, covering = Inputs(photograph, [painting]), cover(painting, (height, width))
    objective = Objective(network, recipe, inputs)
    after, before, other = (objective(image).read().losses for image in (picture, photograph, covering))
    gaussian = Objective(network, recipe.with_(style_statistic="wasserstein"), inputs)
    far, farthest = (gaussian(image).read().losses for image in (picture, photograph))
    names = {name: f"style {name}" for name in recipe.style_layers}
    content_lost = {name: _over(after[f"content {name}"], other[f"content {name}"]) for name in recipe.content_layers}
    style_left = {name: _over(after[loss], before[loss]) for name, loss in names.items()}
    total, start = (
        sum(weight * losses[names[name]] for name, weight in recipe.style_layers.items()) for losses in (after, before)
    )
    ours, theirs, least = (network(image, [STRUCTURE])[STRUCTURE] for image in (picture, photograph, covering))
    return Judgement(
        content_lost,
        style_left,
        _over(total, start),
        {name: _over(far[loss], farthest[loss]) for name, loss in names.items()},
        _over(structure_distance(ours, theirs), structure_distance(least, theirs)),
        *distances(network, picture, painting, recipe.style_layers),
        grain(picture) / fine,
    )


def structure_distance(features: Tensor, others: Tensor) -> float:
    """How far the products of features with one another are from others', (1, C, h, w) both.

    The mean over positions of the Kullback-Leibler divergence of softmax(F F / C²), row by row, from that of the
    others (content feature structural distance: Chung, Hyun & Heo 2024, arXiv 2312.09008).

    >>> image = torch.rand(1, 3, 8, 8)
    >>> structure_distance(image, image)
    0.0
    """
    ours, theirs = (own[0].flatten(1).mT / own.shape[1] for own in (features, others))
    total = 0.0
    for rows, other_rows in zip(ours.split(AT_ONCE), theirs.split(AT_ONCE), strict=True):
        products = rows @ ours.mT, other_rows @ theirs.mT
        # In float64, as the products of large images hardly differ.
        log, expected = (product.cpu().double().log_softmax(-1) for product in products)
        total += float(F.kl_div(log, expected, reduction="sum", log_target=True))
    return total / len(ours)


def distances(
    network: Backbone, picture: Tensor, painting: Tensor, weights: Mapping[str, float]
) -> tuple[float, float]:
    """Invention and coverage, see ``Judgement``, by the features of layers with these weights."""
    joint = Joint.of(weights, network.shapes(weights, picture.shape), picture.shape[-2:])
    joined = (
        torch.cat([vectors for _, vectors in joint.vectors(partial(whole, network), x)]) for x in (picture, painting)
    )
    ours, theirs = (F.normalize(vectors - vectors.mean(0)) for vectors in joined)
    nearest, back = [], torch.full_like(theirs[:, 0], -1)
    for rows in ours.split(AT_ONCE):
        cosines = rows @ theirs.mT
        nearest.append(cosines.amax(1))
        back = torch.maximum(back, cosines.amax(0))
    return float(1 - torch.cat(nearest).mean()), float(1 - back.mean())


def grain(image: Tensor) -> float:
    """The share of an image's spectral energy, (1, 3, H, W), from ``GRAIN`` cycles a pixel on, under a Hann window."""
    brightness = image[0].mean(0).cpu().double()
    height, width = brightness.shape
    window = torch.outer(torch.hann_window(height, False), torch.hann_window(width, False)).double()
    energy = torch.fft.fft2((brightness - brightness.mean()) * window).abs().square()
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
    return float(energy[frequency > GRAIN].sum() / energy.sum().clamp(min=LEAST))


def _over(loss: float, reference: float) -> float:
    if reference < LEAST:
        raise ToolkitError("The content image and the style image are the same to the network: name two that differ.")
    return loss / reference
