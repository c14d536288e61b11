"""The rescaling that makes every filter's mean activation one, and the proof that nothing else changed."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import ToolkitError
from ..network import Network

#: The largest relative error of an output that rounding the weights to a type can explain, with room.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 2e-2}


def rescale(
    network: Network, means: Mapping[str, Tensor], provenance: Mapping[str, Any], dtype: torch.dtype = torch.float32
) -> Network:
    """Divides every filter by its mean activation and undoes it in the next layer's weights.

    ReLU and pooling are positively homogeneous, so with ``W[o, i] *= mu_below[i] / mu[o]`` and
    ``b[o] /= mu[o]`` every layer gives what it gave before, divided by ``mu`` (Gatys, Ecker & Bethge 2016,
    section 2). A filter that never fires keeps its scale.

    Args:
        network: the original.
        means: from each convolution to its filters' mean activations, float64 (O), measured on ``network``.
        provenance: how they were measured; kept beside the original's own provenance.
        dtype: what the rescaled weights are rounded to.

    Returns:
        A new network in float32, with ``mean_activations`` set.
    """
    rescaled = copy.deepcopy(network)
    below = torch.ones(3, dtype=torch.float64)
    for name in network.architecture.convolutions:
        mean = means[name].double().cpu()
        scale = torch.where(mean > 0, mean, 1.0)
        convolution, original = rescaled.convolution(name), network.convolution(name)
        assert convolution.bias is not None and original.bias is not None
        weight = original.weight.double().cpu() * below.view(1, -1, 1, 1) / scale.view(-1, 1, 1, 1)
        convolution.weight.copy_(weight.to(dtype))
        convolution.bias.copy_((original.bias.double().cpu() / scale).to(dtype))
        rescaled.mean_activations[name] = mean
        below = scale
    rescaled.provenance = {**network.provenance, "normalization": dict(provenance)}
    return rescaled


def original(network: Network) -> Network:
    """The network that a normalised one was made from, to rounding: the same rescaling by the scales' inverses.

    Raises:
        ToolkitError: when the network is not normalised.
    """
    if not network.mean_activations:
        raise ToolkitError("This network is not normalised, so it is its own original: name a normalised one.")
    inverse = {name: torch.where(mean > 0, 1 / mean, 0.0) for name, mean in network.mean_activations.items()}
    undone = rescale(network, inverse, {})
    undone.mean_activations = {}
    del undone.provenance["normalization"]
    return undone


def largest_relative_error(
    original: Network, rescaled: Network, images: Iterable[Tensor], tolerance: float = TOLERANCES[torch.float32]
) -> float:
    """How far the rescaled network's outputs, their scale undone, are from the original's.

    Every filter of every convolution is compared on its own, before the ReLU: the largest absolute difference
    over the positions of an image, over the largest absolute output there. Filters that fire weakly count as
    much as strong ones.

    Raises:
        ToolkitError: when it exceeds ``tolerance``; then the two are not the same function.
    """
    names = list(original.architecture.convolutions)
    worst = 0.0
    for image in images:
        expected, found = original(image, names), rescaled(image, names)
        for name in names:
            mean = rescaled.mean_activations[name].to(image.device)
            scale = torch.where(mean > 0, mean, 1.0).view(-1, 1, 1)
            reference = expected[name].double()
            difference = (found[name].double() * scale - reference).abs().amax((-2, -1))
            magnitude = reference.abs().amax((-2, -1)).clamp(min=torch.finfo(torch.float32).tiny)
            worst = max(worst, float((difference / magnitude).max()))
    if not worst <= tolerance:
        raise ToolkitError(
            f"The rescaled network does not compute what the original does: relative error {worst:.1e}, "
            f"more than {tolerance:.0e}; nothing was written."
        )
    return worst


def spread_around_one(means: Mapping[str, Tensor]) -> float:
    """The largest distance from one among the mean activations, filters that never fire left out."""
    return max(float((mean[mean > 0] - 1).abs().max()) if (mean > 0).any() else 0.0 for mean in means.values())
