"""Normalise without a data set: shipped mean activations, or an approximation."""

import warnings
from pathlib import Path

from ..choices import SCALES, Pooling
from ..data.sources import Held
from ..data.stream import ImageStream
from ..errors import ToolkitError, ToolkitWarning
from ..network import Backbone, Network, is_module, load_network, load_vgg, model_folders
from ..pictures.io import example_photographs, to_picture
from .check import held_out
from .mean_activations import MeanActivations
from .normalize import Pass, apply, normalize

#: How a network is normalised here that no shipped mean activations fit. The factor holds for half of the filters.
APPROXIMATE = (
    "its mean activations are those of four photographs, and typically within a factor of 1.4 of ImageNet's; "
    "to have better ones, normalise it over ImageNet's images, or a few hundred of your own."
)


def example_stream() -> ImageStream:
    """scikit-image's photographs, in centre crops."""
    return ImageStream([Held(name, to_picture(image)) for name, image in example_photographs().items()])


def load_backbone(source: str, *, convention: str | None = None, pooling: Pooling | None = None) -> Backbone:
    """Loads any network for synthesis: a VGG as ``load_normalized`` does, another with the scales of its file.

    Raises:
        ToolkitError: as ``load_network`` and ``load_normalized``.
    """
    if not is_module(source):
        return load_normalized(source, convention=convention, pooling=pooling)
    network = load_network(source, convention=convention, pooling=pooling)
    if not network.mean_activations:
        note = f"{source} is used as it was trained, so its losses will be badly scaled: normalise it first."
        warnings.warn(note, ToolkitWarning, stacklevel=2)
    return network


def load_normalized(source: str | Path, *, convention: str | None = None, pooling: Pooling | None = None) -> Network:
    """Loads a network for synthesis; one that is not normalised is normalised by default, with a warning.

    Args:
        source: as for ``load_vgg``.
        convention: likewise.
        pooling: ``average`` or ``max`` (default: ``average``, or the only one that the file is normalised for).

    Raises:
        ToolkitError: as ``load_vgg`` and ``normalize_by_default``.

    Example:
        >>> bool(load_normalized("vgg19").mean_activations)
        True
    """
    network = load_vgg(source, convention=convention, pooling=pooling)
    if network.mean_activations:
        return network
    network.pooling = pooling or "average"
    return normalize_by_default(network, str(source))


def normalize_by_default(network: Network, name: str = "The network") -> Network:
    """Normalises a network in seconds, without ImageNet; a warning says how.

    Args:
        network: as it was trained, with the pooling that it is to be used with.
        name: of the network, for the warning.

    Raises:
        ToolkitError: when the check fails.
    """
    photographs = held_out(next(network.parameters()).device)
    for path in sorted(path for folder in model_folders() for path in folder.glob(f"*{SCALES}")):
        try:
            known = MeanActivations.load(path)
        except ToolkitError:  # damaged, or of a network that is no VGG
            continue
        if known.pooling == network.pooling and known.fits(network):
            how = f"the mean activations in {path.name} fit its weights and were used."
            result = apply(network, known, photographs)
            break
    else:
        how = APPROXIMATE
        with warnings.catch_warnings(action="ignore", category=ToolkitWarning):  # what follows says more
            (result,), _ = normalize([network], Pass(example_stream()), photographs)
    warnings.warn(f"{name} is not normalised: {how}", ToolkitWarning, stacklevel=2)
    return result.network
