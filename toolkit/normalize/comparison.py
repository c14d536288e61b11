"""Two normalisations of the same weights compared: how well their mean activations agree, layer by layer."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import ToolkitError
from ..network import Network

#: Weights that differ from the rescaled original by a larger share are others; rounding to 8 bits is within it.
RESIDUAL = 0.05


class Agreement(NamedTuple):
    """Of one layer: the correlation of the logarithms, the median ratio of ours to theirs, and how many filters."""

    log_correlation: float
    median_ratio: float
    filters: int


def implied_mean_activations(network: Network, original: Network) -> dict[str, Tensor]:
    """The mean activations by which a network was rescaled, from its weights and the original's alone.

    With ``W'[o, i] = W[o, i] mu_below[i] / mu[o]``, each filter's ``mu`` is the least-squares ratio of the two.
    Preprocessing may differ: it is folded into the first layer before.

    Returns:
        From each convolution to float64 (O).

    Raises:
        ToolkitError: when ``network`` is not ``original``, rescaled.
    """
    if network.architecture != original.architecture:
        raise ToolkitError("The two networks have different architectures: name the original of the normalised one.")
    scales = {}
    below = torch.ones(3, dtype=torch.float64)
    for name in network.architecture.convolutions:
        expected, given = (_weights_on_rgb(vgg, name).flatten(2) for vgg in (original, network))
        expected = expected * below.view(1, -1, 1)
        squares = given.square().sum((1, 2))
        mean = (expected * given).sum((1, 2)) / squares.where(squares > 0, 1.0)
        residual = (given * mean.view(-1, 1, 1) - expected).norm() / expected.norm()
        if not residual < RESIDUAL:
            raise ToolkitError(f"{name} is not the original's, rescaled: the two come from different weights.")
        scales[name] = mean
        below = mean.where(mean > 0, 1.0)
    return scales


def _weights_on_rgb(network: Network, name: str) -> Tensor:
    """A convolution's weights, float64 (O, I, 3, 3); the first one's as applied to RGB in [0, 1]."""
    weight = network.convolution(name).weight.cpu().double()
    if name != next(iter(network.architecture.convolutions)):
        return weight
    preprocessing = network.preprocessing
    factor = preprocessing.range / torch.tensor(preprocessing.std, dtype=torch.float64)
    weight = weight * factor.view(1, 3, 1, 1)
    return weight.flip(1) if preprocessing.channels == "BGR" else weight


def agreement(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, Agreement]:
    """How well two sets of mean activations, (O) by convolution, agree over the filters that fire in both.

    Raises:
        ToolkitError: when they have no layer in common, or a different number of filters there.
    """
    by_layer = {}
    for name in (name for name in ours if name in theirs):
        if ours[name].shape != theirs[name].shape:
            raise ToolkitError(
                f"{name} has {len(ours[name])} filters in one network and {len(theirs[name])} in the other."
            )
        fires = (ours[name] > 0) & (theirs[name] > 0)
        logs = torch.stack([ours[name][fires].log(), theirs[name][fires].log()])
        correlation = float(torch.corrcoef(logs)[0, 1]) if logs.shape[1] > 1 else float("nan")
        by_layer[name] = Agreement(correlation, float((logs[0] - logs[1]).median().exp()), logs.shape[1])
    if not by_layer:
        raise ToolkitError("The two have no layer in common, so there is nothing to compare.")
    return by_layer
