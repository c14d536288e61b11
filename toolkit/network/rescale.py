"""The rescaling that makes every filter's mean activation one, and back."""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import ToolkitError
from .vgg import Network


class Scale(NamedTuple):
    """What a convolution's weights are multiplied by: ``output`` (O) and ``input`` (I), float64."""

    output: Tensor
    input: Tensor


def scales(mean_activations: Mapping[str, Tensor]) -> dict[str, Scale]:
    """By convolution, the two factors of the normalisation, from the mean activations as trained, (O) in order.

    ``W'[o, i] = W[o, i] * output[o] * input[i]`` and ``b'[o] = b[o] * output[o]``, where ``output`` is one over the
    filter's mean activation, and ``input`` the mean activation of the layer below. A filter whose mean is 0 keeps
    scale 1.
    """
    factors = {}
    below = torch.ones(3, dtype=torch.float64)
    for name, mean in mean_activations.items():
        mean = mean.cpu().double()
        mean = mean.where(mean > 0, 1.0)
        factors[name] = Scale(1 / mean, below)
        below = mean
    return factors


def rescale(network: Network, mean_activations: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> Network:
    """Divides every filter by its mean activation, and undoes that in the next layer's weights.

    ReLU and pooling are positively homogeneous, so every layer gives what it gave before, divided by the mean
    activations (Gatys, Ecker & Bethge 2016, section 2).

    Args:
        network: as it was trained.
        mean_activations: by convolution in order, float64 (O), of ``network``.
        provenance: over which images; kept beside the network's own provenance.

    Returns:
        A new network with ``mean_activations`` set.
    """
    rescaled = _multiplied(network, scales(mean_activations))
    rescaled.mean_activations = {name: mean.cpu().double() for name, mean in mean_activations.items()}
    rescaled.provenance = {**network.provenance, "normalization": dict(provenance)}
    return rescaled


def original(network: Network) -> Network:
    """The network that a normalised one was made from, to float32's rounding.

    Weights in 8 bits come back exactly. To have all of it exactly, read the file with ``normalized=False``.

    Raises:
        ToolkitError: when the network is not normalised.
    """
    if not network.mean_activations:
        raise ToolkitError("This network is not normalised, so it is its own original: name a normalised one.")
    factors = scales(network.mean_activations)
    undone = _multiplied(network, {name: Scale(1 / scale.output, 1 / scale.input) for name, scale in factors.items()})
    for name, codebook in undone.codebooks.items():
        undone.convolution(name).weight.copy_(codebook.decode())
    undone.mean_activations = {}
    undone.provenance.pop("normalization", None)
    return undone


def _multiplied(network: Network, factors: Mapping[str, Scale]) -> Network:
    """Multiplies by the output's factor, then by the input's, in the type of the weights, as ONNX files do."""
    result = copy.deepcopy(network)
    for name, scale in factors.items():
        convolution = result.convolution(name)
        assert convolution.bias is not None
        output, input = (factor.to(convolution.weight) for factor in scale)
        convolution.weight.mul_(output.view(-1, 1, 1, 1)).mul_(input.view(1, -1, 1, 1))
        convolution.bias.mul_(output)
    return result
