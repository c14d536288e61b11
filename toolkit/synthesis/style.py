"""The style statistics by name: what each keeps of a style image, and the loss that it makes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor

from ..choices import StatisticName
from .gaussian import mean_and_covariance, wasserstein
from .losses import Loss, MomentsLoss
from .recipe import Recipe
from .sliced import SlicedLoss, blended_projections, sorted_projections
from .statistics import Distance, Moments, Sums, blended, gram, moment_sums

#: What is kept of a layer's features of a style image.
Summary = tuple[Tensor, ...]

#: Makes a loss whose target is set already: from its layer and weight, ``guide`` and ``scale``.
MakeLoss = Callable[..., Loss]


class Statistic(NamedTuple):
    """What of the features is compared as style.

    ``scale``: of its losses; with it one style weight keeps as much of the content by any statistic.
    ``summary``: of features (1, C, h, w), where each position counts as much as a guide (1, 1, h, w) says, by a seed.
    ``towards``: blends style images' summaries into one target, by their shares and with the same seed, and gives what
    makes losses towards it. ``additive``: whether summaries of an image's parts add up, tensor by tensor.
    """

    scale: float
    summary: Callable[[Tensor, Tensor | None, int], Summary]
    towards: Callable[[Sequence[Summary], Sequence[float], int], MakeLoss]
    additive: bool = True


def by_moments(statistic: Callable[[Moments], Distance], scale: float) -> Statistic:
    """A statistic that is a function of the moments: the distance, given the target's."""

    def towards(summaries: Sequence[Summary], shares: Sequence[float], seed: int) -> MakeLoss:
        target = blended([Sums(*summary) for summary in summaries], shares)
        return partial(MomentsLoss, distance=statistic(target))

    return Statistic(scale, lambda features, guide, seed: moment_sums(features, guide), towards)


def _towards_projections(summaries: Sequence[Summary], shares: Sequence[float], seed: int) -> MakeLoss:
    target = blended_projections([projections for (projections,) in summaries], shares)
    return partial(SlicedLoss, target=target, seed=seed)


STATISTICS: dict[StatisticName, Statistic] = {
    "gram": by_moments(gram, 1.0),
    "moments": by_moments(mean_and_covariance, 1.6),
    "wasserstein": by_moments(wasserstein, 0.74),
    "sliced": Statistic(
        3.2, lambda features, guide, seed: (sorted_projections(features, seed, guide),), _towards_projections, False
    ),
}


def statistic_of(recipe: Recipe) -> Statistic:
    """The one that a recipe asks for."""
    return STATISTICS[recipe.style_statistic]
