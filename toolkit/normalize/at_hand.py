"""Normalisation for whoever has weights and no images: by scales that came with the project, or roughly."""

from pathlib import Path

from ..images.io import example_photographs, fit
from ..images.sources import Example
from ..images.stream import ImageStream
from ..network import MODEL_FOLDERS, Network, Pooling, load_network
from .mean_activations import SUFFIX, Scales
from .normalize import Job, apply_scales, normalize

#: How far off is measured on Caffe's VGG-19: half of a layer's filters are within the factor, by layer 1.14 to 1.4.
APPROXIMATE = (
    "scales were measured on four photographs and are approximate, typically within a factor of 1.4 of ImageNet's; "
    "name ImageNet's images, or a few hundred of your own, to `python -m toolkit normalize` for scales that are not"
)


def example_stream() -> ImageStream:
    """scikit-image's photographs, in centre crops."""
    return ImageStream([Example(name) for name in example_photographs()])


def load_normalized(
    source: str | Path, *, convention: str | None = None, pooling: Pooling | None = None
) -> tuple[Network, str]:
    """Loads a network for synthesis: as it is when it is normalised, else normalised with what is at hand.

    Args:
        source: as ``load_network`` takes it.
        convention: likewise.
        pooling: for a network that is not normalised (default: average).

    Returns:
        The network, and a sentence that says by what it was normalised here; empty when it was before.

    Raises:
        ToolkitError: as ``load_network`` and ``normalize_at_hand``.
    """
    network = load_network(source, convention=convention, pooling=pooling)
    if network.mean_activations:
        return network, ""
    network.pooling = pooling or "average"
    return normalize_at_hand(network)


def normalize_at_hand(network: Network) -> tuple[Network, str]:
    """Normalises a network in seconds, without ImageNet.

    Args:
        network: the original, with the pooling it is to be used with.

    Returns:
        The normalised network, and a sentence that says by what.

    Raises:
        ToolkitError: when the proof fails.
    """
    device = next(network.parameters()).device
    held_out = [fit(image, 256).to(device) for image in example_photographs().values()]
    for path in sorted(path for folder in MODEL_FOLDERS for path in folder.glob(f"*{SUFFIX}")):
        scales = Scales.load(path)
        if scales.pooling == network.pooling and scales.fits(network):
            return apply_scales(network, scales, held_out)[0], f"normalised by {path.name}, which fits its weights"
    (result,), _ = normalize([network], Job(example_stream()), held_out)
    return result.network, APPROXIMATE
