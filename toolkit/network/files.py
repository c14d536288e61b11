"""Networks from files and to files. Our own format is one safetensors file.

It holds the weights as they were trained and, beside them, mean activations under one or both poolings. The
normalisation is applied on reading.

Tensors, by convolution: ``NAME.weight`` (float32 or float16), or ``NAME.index`` (uint8) and ``NAME.codebook`` (float32,
256); ``NAME.bias`` (float32); ``NAME.mean_activation.POOLING`` (float64). Metadata: ``format``, ``version``,
``architecture``, ``preprocessing``, ``pooling`` (used when none is asked for), ``provenance``, and
``normalization`` (by pooling, how the mean activations were measured). Files of version 1 hold normalised weights.
"""

import copy
import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, Json, ValidationError
from torch import Tensor

from ..choices import Pooling, Storage
from ..errors import DamagedFileError, ToolkitError, ToolkitWarning
from ..files import Header, TensorFile, load_tensors, save_tensors
from .architecture import Architecture
from .codebook import Codebook, quantize
from .find import DEFAULT_NETWORK, find_network, is_torchvision
from .foreign import fill, foreign_network, read_state
from .rescale import original, rescale
from .vgg import CONVENTIONS, POOLINGS, Network, Preprocessing

FORMAT = "normalized-vgg"
VERSIONS = ("1", "2")

#: Weights that differ by less than this share are the same, stored with different precision.
NEARLY = 0.05


class NetworkHeader(Header):
    """The metadata of a network."""

    format: str = FORMAT
    version: str = VERSIONS[-1]
    architecture: Json[Architecture]
    pooling: Pooling
    preprocessing: Json[Preprocessing]
    provenance: Json[dict[str, Any]]
    normalization: Json[dict[Pooling, dict[str, Any]]] = Field(default_factory=dict)


def load_vgg(
    source: str | Path, *, convention: str | None = None, pooling: Pooling | None = None, normalized: bool = True
) -> Network:
    """Loads a VGG.

    Args:
        source: as ``find_network`` takes it; a file of ours, or somebody else's in one of the layouts of ``foreign``.
        convention: a key of ``CONVENTIONS``, for files that do not say it themselves.
        pooling: ``average`` or ``max``. By default ``average`` where the file has mean activations for it; ``max``
            for other people's files.
        normalized: whether a file with mean activations is read as the normalised network, or as it was trained.

    Raises:
        ToolkitError: when the file is missing, damaged or no VGG, its convention is unknown, or it has no mean
            activations for this pooling.

    Example:
        >>> load_vgg("vgg19", pooling="max").pooling
        'max'
    """
    path = find_network(source)
    if is_torchvision(source):
        convention = "torchvision"
    file = read_state(path)
    if file.metadata.get("format") == FORMAT:
        return _own_network(path, file, pooling, normalized)
    network = foreign_network(path, file, convention, pooling)
    if network.preprocessing == CONVENTIONS["torchvision"] and _is_the_authors(network):
        note = f"{source} has the weights of the authors' release, which expect the convention caffe."
        warnings.warn(note, ToolkitWarning, stacklevel=2)
    return network


def _is_the_authors(network: Network) -> bool:
    """Whether conv1_1 is that of the authors' VGG-19, which comes with the project."""
    weight = network.convolution("conv1_1").weight
    try:
        known = load_tensors(find_network(DEFAULT_NETWORK)).tensors
        authors = Codebook(known["conv1_1.index"], known["conv1_1.codebook"]).decode()
    except (ToolkitError, KeyError):  # not installed, or replaced by another network
        return False
    return weight.shape == authors.shape and bool((weight - authors).norm() < NEARLY * authors.norm())


def normalized_for(path: Path) -> tuple[Pooling, ...]:
    """The poolings for which a file has mean activations, average before max.

    Raises:
        ToolkitError: as ``load_vgg``.
    """
    file = read_state(path)
    if file.metadata.get("format") != FORMAT:
        return ()
    header = _header(path, file.metadata)
    if header.version == "1":
        return (header.pooling,) if any(key.endswith(".mean_activation") for key in file.tensors) else ()
    return tuple(pooling for pooling in POOLINGS if pooling in header.normalization)


def save_network(
    network: Network, path: Path, precision: Storage = "float32", normalized: Sequence[Network] = ()
) -> None:
    """Writes one of our files, atomically.

    Args:
        network: as it was trained. A normalised network is written as its ``original`` and its mean activations.
        path: a ``.safetensors`` file.
        precision: of the weights; biases are float32 in any case.
        normalized: what was made of ``network`` by normalising it, under one or both poolings.

    Raises:
        ToolkitError: when it cannot be written.
    """
    if network.mean_activations:
        network, normalized = original(network), [network]
    tensors = {}
    for name in network.architecture.convolutions:
        convolution = network.convolution(name)
        assert convolution.bias is not None
        weight = convolution.weight.cpu().contiguous()
        if precision == "8bit":
            tensors[f"{name}.index"], tensors[f"{name}.codebook"] = network.codebooks.get(name) or quantize(weight)
        else:
            tensors[f"{name}.weight"] = weight.to(getattr(torch, precision))
        tensors[f"{name}.bias"] = convolution.bias.float().cpu()
        for result in normalized:
            tensors[f"{name}.mean_activation.{result.pooling}"] = result.mean_activations[name].cpu().double()
    normalization = {result.pooling: result.provenance.get("normalization", {}) for result in normalized}
    header = NetworkHeader.model_construct(
        architecture=network.architecture,
        pooling=min(normalization, default=network.pooling),  # average before max
        preprocessing=network.preprocessing,
        provenance=network.provenance,
        normalization=normalization,
    )
    save_tensors(tensors, path, header.metadata())


def rounded(network: Network, precision: Storage) -> Network:
    """The network that a file of this precision would hold; one of 8 bits has its ``codebooks``.

    A normalised network is rounded as it was trained.
    """
    if network.mean_activations:
        trained = rounded(original(network), precision)
        return rescale(trained, network.mean_activations, network.provenance.get("normalization", {}))
    result = copy.deepcopy(network)
    for name in network.architecture.convolutions:
        weight = result.convolution(name).weight
        if precision == "8bit":
            result.codebooks[name] = network.codebooks.get(name) or quantize(weight)
            weight.copy_(result.codebooks[name].decode())
        else:
            weight.copy_(weight.to(getattr(torch, precision)))
    return result


def weights_fingerprint(network: Network) -> str:
    """SHA-256 of the weights and biases in order, whatever file they came in."""
    digest = hashlib.sha256()
    for name in network.architecture.convolutions:
        for parameter in network.convolution(name).parameters():
            digest.update(parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _own_network(path: Path, file: TensorFile, pooling: Pooling | None, normalized: bool) -> Network:
    header = _header(path, file.metadata)
    network = Network(header.architecture, header.preprocessing, pooling=header.pooling, provenance=header.provenance)
    names = list(network.architecture.convolutions)
    tensors = dict(file.tensors)
    for name in names:
        if (index := tensors.get(f"{name}.index")) is not None:
            values = tensors.get(f"{name}.codebook")
            if values is None or values.shape != (256,) or index.dtype != torch.uint8:
                raise DamagedFileError(
                    f"{path} is damaged: the codebook of {name} is not 256 values with 8-bit indices."
                )
            network.codebooks[name] = Codebook(index, values)
            tensors[f"{name}.weight"] = network.codebooks[name].decode()
    fill(network, tensors, {name: name for name in names}, path)
    means = _mean_activations(path, tensors, network)
    wanted = pooling or network.pooling
    if means and normalized and wanted not in means:
        raise ToolkitError(
            f"{path} is normalised for {network.pooling} pooling only: normalise the original weights again "
            f"with {wanted} pooling."
        )
    if means and header.version == "1":
        network.mean_activations = means[network.pooling]
        network = network if normalized else original(network)
    elif means and normalized:
        network = rescale(network, means[wanted], header.normalization.get(wanted, {}))
    network.pooling = wanted
    return network


def _header(path: Path, metadata: Mapping[str, str]) -> NetworkHeader:
    if metadata.get("version", "1") not in VERSIONS:
        raise ToolkitError(f"{path} was written by a newer toolkit: install that one to read it.")
    try:
        return NetworkHeader.model_validate(metadata)
    except ValidationError as error:
        raise DamagedFileError(f"{path} does not describe its network as it should: fetch or make it again.") from error


def _mean_activations(path: Path, tensors: Mapping[str, Tensor], network: Network) -> dict[Pooling, dict[str, Tensor]]:
    """By pooling and convolution, the mean activations in the file, float64 (O)."""
    suffixes = {f"mean_activation.{pooling}": pooling for pooling in POOLINGS}
    suffixes["mean_activation"] = network.pooling  # in version 1
    by_pooling: dict[Pooling, dict[str, Tensor]] = {}
    for suffix, pooling in suffixes.items():
        for name, (_, filters) in network.architecture.convolutions.items():
            if (mean := tensors.get(f"{name}.{suffix}")) is not None:
                if mean.shape != (filters,):
                    raise DamagedFileError(
                        f"{path} has {mean.numel()} mean activations for the {filters} filters of {name}."
                    )
                by_pooling.setdefault(pooling, {})[name] = mean.double()
    if any(len(means) < len(network.architecture.convolutions) for means in by_pooling.values()):
        raise DamagedFileError(f"{path} is damaged: it has mean activations for some convolutions only.")
    return by_pooling
