"""The whole normalisation: measure, rescale, prove."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import __version__
from ..errors import ToolkitError
from ..network import Network
from .activations import measure
from .images import ImageStream
from .rescale import TOLERANCES, largest_relative_error, rescale, spread_around_one


@dataclass(frozen=True)
class Proof:
    """What shows that a normalisation is right.

    ``relative_error``: the largest between the two networks' outputs; ``spread``: the largest distance from one of a
    mean activation measured anew; ``silent``: filters that never fired, whose scale was kept.
    """

    relative_error: float
    spread: float
    silent: int


def normalize(
    network: Network,
    images: ImageStream,
    held_out: Iterable[Tensor],
    progress: Callable[[int], object] = lambda images: None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Network, Proof]:
    """Rescales a network so that every filter's mean activation over the images is one.

    Args:
        network: the original, with the pooling it is to be used with.
        images: over which to take the means.
        held_out: images (N, 3, H, W) apart from those, on which the two networks are compared.
        progress: told the images of every batch measured, on the original and then, anew, on the rescaled network.
        dtype: float32, or float16 for half the file and means that are one to three digits.

    Raises:
        ToolkitError: when the network is normalised already, no image could be read, or the proof fails.
    """
    if network.mean_activations:
        raise ToolkitError("This network is normalised already: start from the original weights.")
    measured = measure(network, images, progress)
    means = measured.means()
    names = "\n".join(path.name for path in images.paths if str(path) not in images.skipped)
    rescaled = rescale(
        network,
        means,
        {
            "images": measured.images,
            "image_names_sha256": hashlib.sha256(names.encode()).hexdigest(),
            "skipped": len(images.skipped),
            "preparation": images.preparation,
            "positions": measured.positions,
            "pooling": network.pooling,
            "precision": str(dtype).removeprefix("torch."),
            "toolkit": __version__,
        },
        dtype,
    )
    error = largest_relative_error(network, rescaled, held_out, TOLERANCES[dtype])
    spread = spread_around_one(measure(rescaled, images, progress).means())
    return rescaled, Proof(error, spread, sum(int((mean == 0).sum()) for mean in means.values()))
