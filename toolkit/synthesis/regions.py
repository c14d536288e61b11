"""Regions of a content image, each with the part of a style image that it answers to: suggested, not known.

Every filter of a normalised network has a mean activation of one, so the features of several layers stand beside each
other as they are. By them each image falls into clusters, and a content image's clusters find the nearest among the
style images'. This sees texture and form, not meaning: a lake that mirrors houses goes with the houses, a smooth wall
with the sky, and a region reaches a little beyond what is thinner than a neighbourhood.
"""

import itertools
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.cluster.vq import kmeans2
from torch import Tensor

from ..errors import ToolkitError
from ..network import Backbone
from ..pictures.io import fit

#: Strokes, motifs, and things.
LAYERS = ("relu3_1", "relu4_1", "relu5_1")

#: Longest side in pixels at which images are looked at: enough for regions, little to compute.
LONGEST = 320

#: How far around a position of the middle layer features are averaged: regions are of one texture, and hold together.
AROUND = 2

#: How far a mask's edge may move to follow the picture's, in pixels, and the contrast squared of an edge to follow.
RADIUS, CONTRAST = 8, 1e-4

#: Power of the masks before they share each pixel: edges are to be soft, but narrow.
SHARPNESS = 3

#: How often clusters are sought from other beginnings, and how often they are refined.
BEGINNINGS, REFINEMENTS = 6, 50


class Region(NamedTuple):
    """A region of the content image.

    ``mask``: where it is, (1, 1, h, w) in [0, 1]; those of all regions sum to one. ``style``: the number of the style
    image that it answers to, from 0. ``part``: where in that style image, (1, 1, h', w').
    """

    mask: Tensor
    style: int
    part: Tensor


def suggest_regions(
    network: Backbone, content: Tensor, styles: Sequence[Tensor], count: int = 2, seed: int = 0
) -> list[Region]:
    """Divides a content image into regions, each with the part of a style image whose features are nearest.

    Every style image is used; no part is used twice where there are enough.

    >>> import torch, toolkit
    >>> content, style = torch.zeros(1, 3, 48, 64), torch.rand(1, 3, 48, 64)
    >>> content[..., 32:] = torch.rand(1, 3, 48, 32)
    >>> regions = suggest_regions(toolkit.load_network("vgg19-small"), content, [style])
    >>> [region.mask.shape for region in regions]
    [torch.Size([1, 1, 240, 320]), torch.Size([1, 1, 240, 320])]

    Args:
        network: normalised; on the device to compute on.
        content: (1, 3, H, W), RGB in [0, 1] or in bytes.
        styles: likewise.
        count: of regions, at most: an image of one colour has only one.
        seed: of the clusters' beginnings.

    Raises:
        ToolkitError: when fewer regions than style images are asked for, or an image is too small for the layers.
    """
    if count < len(styles):
        raise ToolkitError(f"{count} regions are too few for {len(styles)} style images: ask for one for each.")
    images = [fit(image, LONGEST).to(network.device) for image in (content, *styles)]
    (regions, centres), *others = (_clusters(network, image, count, seed) for image in images)
    parts = [(style, part) for style, (masks, _) in enumerate(others) for part in masks]
    distances = torch.cdist(centres, torch.cat([own for _, own in others])).tolist()

    def rank(chosen: tuple[int, ...]) -> tuple[int, int, float]:
        used = {parts[number][0] for number in chosen}
        return -len(used), -len(set(chosen)), sum(row[number] for row, number in zip(distances, chosen, strict=True))

    best = min(itertools.product(range(len(parts)), repeat=len(regions)), key=rank)
    return [Region(mask, *parts[number]) for mask, number in zip(regions, best, strict=True)]


def _clusters(network: Backbone, image: Tensor, count: int, seed: int) -> tuple[list[Tensor], Tensor]:
    """An image's regions by its features: masks (1, 1, H, W) that sum to one, and the clusters' centres (count, C)."""
    layers = dict(network.walk(image, LAYERS))
    size = layers[LAYERS[1]].shape[-2:]
    resized = (F.interpolate(layers[name], size, mode="bilinear", antialias=True) for name in LAYERS)
    scaled = [features / features.shape[1] ** 0.5 for features in resized]  # every layer counts the same
    features = _mean(torch.cat(scaled, 1), AROUND)
    points = features[0].flatten(1).T.float().cpu()
    labels, centres = k_means(points, count, seed)
    coarse = F.one_hot(labels, len(centres)).T.float().view(1, len(centres), *size)
    fine = F.interpolate(coarse.to(image), image.shape[-2:], mode="bilinear")
    masks = guided(fine, image.mean(1, keepdim=True), RADIUS, CONTRAST).clamp(0, 1).pow(SHARPNESS).cpu()
    return list((masks / masks.sum(1, keepdim=True)).split(1, 1)), centres


def k_means(points: Tensor, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Clusters of points (n, C): the number of each point's, (n,), and the centres, (count, C).

    Begins at points far from each other, several times, and keeps the tightest. There are fewer clusters where there
    are too few different points.
    """
    generator = np.random.default_rng(seed)
    count = min(count, len(points.unique(dim=0)))
    runs = []
    for _ in range(BEGINNINGS):
        with warnings.catch_warnings(action="ignore"):  # of clusters that are left empty
            centres, labels = kmeans2(points.numpy(), count, REFINEMENTS, minit="++", seed=generator)
        runs.append((np.square(points.numpy() - centres[labels]).sum(), centres, labels))
    _, centres, labels = min(runs, key=lambda run: run[0])
    used, labels = np.unique(labels, return_inverse=True)
    return torch.from_numpy(labels), torch.from_numpy(centres[used])


def guided(masks: Tensor, guide: Tensor, radius: int, contrast: float) -> Tensor:
    """Masks (1, K, H, W) whose edges follow those of a guide (1, 1, H, W): the guided filter (He, Sun & Tang 2013)."""
    average, level = _mean(masks, radius), _mean(guide, radius)
    slope = (_mean(masks * guide, radius) - average * level) / (_mean(guide * guide, radius) - level * level + contrast)
    return _mean(slope, radius) * guide + _mean(average - slope * level, radius)


def _mean(x: Tensor, radius: int) -> Tensor:
    """Of each position's neighbourhood, a square up to so many positions away: of its rows, then of their means."""
    side = 2 * radius + 1
    rows = F.avg_pool2d(x, (1, side), 1, (0, radius), count_include_pad=False)
    return F.avg_pool2d(rows, (side, 1), 1, (radius, 0), count_include_pad=False)
