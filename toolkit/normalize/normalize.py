"""The whole normalisation: measure, rescale, check."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..choices import Arithmetic
from ..data.stream import ImageStream
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError, ToolkitWarning
from ..network import Backbone, Network, fingerprint, rescale
from .check import largest_relative_error
from .mean_activations import MeanActivations
from .measure import Measurement, PartialFile, measure

#: Over how many images the mean activations are taken again, unless told otherwise.
RECHECK = 1000

#: Over fewer images mean activations are approximate, and said to be.
FEW = 100


@dataclass(frozen=True)
class Pass:
    """A pass over images, in which networks are measured.

    Args:
        images: over which the means are taken.
        arithmetic: of the convolutions.
        ranks: the processes that share the work.
        partials: the file beside which the sums are kept while they grow; ``None`` to keep none.
        progress: told the number of images of every chunk done.
    """

    images: ImageStream
    arithmetic: Arithmetic = "float32"
    ranks: Ranks = ALONE
    partials: Path | None = None
    progress: Callable[[int], object] = lambda images: None

    def measure(self, networks: Sequence[Backbone]) -> Measurement:
        """One pass over the images, which goes on where an earlier one was ended.

        Raises:
            ToolkitError: when too many images cannot be read, or an earlier pass had other images or settings.
        """
        partial = None if self.partials is None else PartialFile(self._path(self.partials), self._key(networks))
        return measure(networks, self.images, self.arithmetic, self.progress, partial, self.ranks)

    def mean_activations(
        self, networks: Sequence[Network], provenance: Mapping[str, Any]
    ) -> tuple[list[MeanActivations], Measurement]:
        """The mean activations of VGGs as they were trained; see ``means``."""
        found, measurement = self.means(networks, provenance)
        pairs = zip(networks, found, strict=True)
        return [MeanActivations.of(network, *own) for network, own in pairs], measurement

    def means(
        self, networks: Sequence[Backbone], provenance: Mapping[str, Any]
    ) -> tuple[list[tuple[dict[str, Tensor], dict[str, Any]]], Measurement]:
        """Networks' mean activations as they were trained, with their provenance, all in one pass.

        Args:
            networks: each with the pooling that it is to be used with.
            provenance: where the images come from.

        Raises:
            ToolkitError: when one is normalised already, or no image could be read.
        """
        if any(network.mean_activations for network in networks):
            raise ToolkitError("This network is normalised already: start from the original weights.")
        if len(self.images.entries) < FEW and self.ranks.first:
            count = len(self.images.entries)
            note = f"mean activations over so few images ({count}) are approximate: use a few hundred."
            warnings.warn(note, ToolkitWarning, stacklevel=2)
        measurement = self.measure(networks)
        if not measurement.images:
            self.forget()  # other images may take their place
            if measurement.skipped:
                raise ToolkitError(f"No image could be read; the first: {next(iter(measurement.skipped.values()))}")
        entries = enumerate(self.images.entries)
        names = "\n".join(entry.name for n, entry in entries if self.images.label(n) not in measurement.skipped)
        described = {
            **provenance,
            **({"approximate": f"fewer than {FEW} images"} if measurement.images < FEW else {}),
            "images": measurement.images,
            "image_names_sha256": hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest(),
            "skipped": measurement.skipped,
            **self.images.prepared,
            "arithmetic": self.arithmetic,
            "batch_size": self.images.batch_size,
            "processes": self.ranks.world_size,
            "toolkit": __version__,
            "torch": torch.__version__,
        }
        return [
            (sums.means(), {**described, "positions": sums.positions, "standard_errors": sums.standard_errors()})
            for sums in measurement.sums
        ], measurement

    def sample(self, count: int) -> "Pass":
        """The same over at most so many of the images, evenly spread, without keeping sums."""
        entries = self.images.entries
        chosen = [entries[n * len(entries) // count] for n in range(count)] if count < len(entries) else entries
        return replace(self, images=replace(self.images, entries=chosen), partials=None)

    def forget(self) -> None:
        """Removes this process's partial sums, once the result is safe."""
        if self.partials is not None:
            self._path(self.partials).unlink(missing_ok=True)

    def _path(self, beside: Path) -> Path:
        return Path(f"{beside}.{self.ranks.rank}.partial")

    def _key(self, networks: Sequence[Backbone]) -> dict[str, str]:
        return {
            "images": self.images.fingerprint(),
            "network": " ".join(map(fingerprint, networks)),
            "preparation": " ".join(self.images.prepared.values()),
            "batch size": str(self.images.batch_size),
            "arithmetic": self.arithmetic,
            "processes": str(self.ranks.world_size),
            "workers": str(self.images.workers),
        }


@dataclass(frozen=True)
class Normalized:
    """A normalised network and how it was checked.

    Attributes:
        network: normalised.
        mean_activations: what it was made with.
        relative_error: the largest between the outputs of the two networks on held-out images.
        images: over how many images the mean activations were taken again; 0 when they were not.
        remeasured: the result, by convolution, (O). Over all images it is one; over a sample it spreads around one.
    """

    network: Network
    mean_activations: MeanActivations
    relative_error: float
    images: int = 0
    remeasured: Mapping[str, Tensor] = field(default_factory=dict)


def apply(network: Network, mean_activations: MeanActivations, held_out: Iterable[Tensor]) -> Normalized:
    """Normalises a network with mean activations from a file, and checks it.

    Args:
        network: as it was trained, with the pooling of the mean activations.
        mean_activations: of these weights.
        held_out: images (N, 3, H, W) on which the two networks are compared.

    Raises:
        ToolkitError: when the network is normalised already, the mean activations belong to another one, or the check
            fails.
    """
    if network.mean_activations:
        raise ToolkitError("This network is normalised already: start from the original weights.")
    if not mean_activations.fits(network):
        raise ToolkitError("These mean activations are of other weights: normalise over images instead.")
    pooling = mean_activations.pooling
    if network.pooling != pooling:
        raise ToolkitError(f"These mean activations are of {pooling} pooling: use the network with that pooling.")
    provenance = {**mean_activations.provenance, "weights": mean_activations.weights, "pooling": pooling}
    rescaled = rescale(network, mean_activations.means, provenance)
    return Normalized(rescaled, mean_activations, largest_relative_error(network, rescaled, held_out))


def normalize(
    networks: Sequence[Network],
    work: Pass,
    held_out: Sequence[Tensor],
    provenance: Mapping[str, Any] | None = None,
    recheck: int = RECHECK,
) -> tuple[list[Normalized], Measurement]:
    """Rescales networks so that every filter's mean activation over the images is one.

    One pass over the images measures the means; after it they are one by construction. The check compares outputs on
    held-out images, and measures the means again on a sample.

    Args:
        networks: as they were trained, on one device, each with the pooling that it is to be used with.
        work: over which images to measure, and how.
        held_out: images (N, 3, H, W) apart from these.
        provenance: where the images come from.
        recheck: on how many of the images to measure again; 0 for none.

    Returns:
        The results, and what the pass found.

    Raises:
        ToolkitError: when a network is normalised already, no image could be read, or the check fails.
    """
    means, measurement = work.mean_activations(networks, provenance or {})
    results = [apply(network, known, held_out) for network, known in zip(networks, means, strict=True)]
    if recheck:
        again = work.sample(recheck).measure([result.network for result in results])
        results = [
            replace(result, images=again.images, remeasured=sums.means())
            for result, sums in zip(results, again.sums, strict=True)
        ]
    return results, measurement
