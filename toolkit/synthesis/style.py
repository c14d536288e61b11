"""Which style loss a recipe asks for: the statistics by name, and how one style weight means one strength by each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .gaussian import mean_and_covariance, wasserstein
from .losses import Loss, StyleLoss
from .recipe import Recipe
from .sliced import SlicedLoss, blended, sorted_projections
from .statistics import Statistic, StatisticName, gram, moment_sums, moments

#: The statistics that are functions of the moments.
STATISTICS: dict[StatisticName, Statistic] = {
    "gram": gram,
    "moments": mean_and_covariance,
    "wasserstein": wasserstein,
}

#: With these factors one style weight keeps as much of the content by any of them.
SCALES: dict[StatisticName, float] = {"gram": 1.0, "moments": 1.6, "wasserstein": 0.74, "sliced": 3.2}


def summary(recipe: Recipe, features: Tensor, guide: Tensor | None = None) -> Tensor:
    """What of a style image's features (1, C, h, w) is compared: the moments' sums, or sorted projections.

    With a guide (1, 1, h, w) each position counts as much as the guide says.
    """
    if recipe.style_statistic == "sliced":
        return sorted_projections(features, recipe.seed, guide)
    return moment_sums(features, guide)


def style_loss(
    recipe: Recipe,
    layer: str,
    weight: float,
    summaries: Sequence[Tensor],
    shares: Sequence[float],
    guide: Tensor | None = None,
) -> Loss:
    """The loss of one layer against one or several style images, which share its target."""
    factor = SCALES[recipe.style_statistic] * (0.25 if recipe.formula == "paper" else 1.0)
    if recipe.style_statistic == "sliced":
        return SlicedLoss(f"style {layer}", weight, blended(summaries, shares), guide, recipe.seed, factor)
    mean = torch.stack([share * own / own[-1, -1] for share, own in zip(shares, summaries, strict=True)]).sum(0)
    return StyleLoss(f"style {layer}", weight, STATISTICS[recipe.style_statistic](moments(mean)), guide, factor)
