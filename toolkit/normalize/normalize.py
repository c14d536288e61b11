"""The whole normalisation: measure, rescale, prove."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..images.stream import ImageStream
from ..network import Network, weights_fingerprint
from .mean_activations import Scales
from .measure import Arithmetic, Measurement, measure
from .partial import PartialFile
from .rescale import TOLERANCES, largest_relative_error, rescale, spread_around_one


@dataclass(frozen=True)
class Job:
    """How to measure.

    Args:
        images: over which to take the means.
        arithmetic: of the convolutions.
        ranks: the processes that share the work.
        partials: beside which file to keep the sums while they grow; not at all when ``None``.
        progress: told the images of every chunk measured.
    """

    images: ImageStream
    arithmetic: Arithmetic = "float32"
    ranks: Ranks = ALONE
    partials: Path | None = None
    progress: Callable[[int], object] = lambda images: None

    def measure(self, networks: Sequence[Network]) -> Measurement:
        """One pass over the images."""
        return measure(
            networks,
            self.images,
            arithmetic=self.arithmetic,
            progress=self.progress,
            partial=self.partial(networks),
            ranks=self.ranks,
        )

    def partial(self, networks: Sequence[Network]) -> PartialFile | None:
        """This process's file for a pass over these networks."""
        if self.partials is None:
            return None
        stage = "after" if networks[0].mean_activations else "before"
        key = {
            "images": self.images.fingerprint(),
            "weights": " ".join(weights_fingerprint(network) for network in networks),
            "pooling": " ".join(network.pooling for network in networks),
            "preparation": self.images.preparation,
            "batch size": str(self.images.batch_size),
            "arithmetic": self.arithmetic,
            "processes": str(self.ranks.world_size),
        }
        return PartialFile(self._partial_path(stage), key)

    def forget(self) -> None:
        """Removes this process's partial sums, once the result is safe."""
        if self.partials is not None:
            for stage in ("before", "after"):
                self._partial_path(stage).unlink(missing_ok=True)

    def _partial_path(self, stage: str) -> Path:
        return Path(f"{self.partials}.{stage}-{self.ranks.rank}.partial")

    def scales(self, networks: Sequence[Network], provenance: Mapping[str, Any]) -> tuple[list[Scales], Measurement]:
        """The scales of networks that are not normalised, measured in one pass.

        Args:
            networks: the originals, each with the pooling it is to be used with.
            provenance: where the images come from.

        Raises:
            ToolkitError: when one is normalised already, or no image could be read.
        """
        if any(network.mean_activations for network in networks):
            raise ToolkitError("This network is normalised already: start from the original weights.")
        measured = self.measure(networks)
        names = "\n".join(entry.name for entry in self.images.entries if entry.name not in measured.skipped)
        told = {
            **provenance,
            "images": measured.images,
            "image_names_sha256": hashlib.sha256(names.encode()).hexdigest(),
            "skipped": measured.skipped,
            "preparation": self.images.preparation,
            "arithmetic": self.arithmetic,
            "batch_size": self.images.batch_size,
            "processes": self.ranks.world_size,
            "toolkit": __version__,
            "torch": torch.__version__,
        }
        scales = [
            Scales.of(network, sums.means(), {**told, "positions": sums.positions})
            for network, sums in zip(networks, measured.sums, strict=True)
        ]
        return scales, measured


@dataclass(frozen=True)
class Proof:
    """What shows that a normalisation is right.

    ``relative_error``: the largest between the two networks' outputs; ``silent``: filters that never fired,
    whose scale was kept; ``means``: mean activations measured anew, when there were images.
    """

    relative_error: float
    silent: int
    means: Mapping[str, Tensor] | None = None

    @property
    def spread(self) -> float:
        """The largest distance from one of a mean activation measured anew."""
        return spread_around_one(self.means or {})


def apply_scales(
    network: Network, scales: Scales, held_out: Iterable[Tensor], dtype: torch.dtype = torch.float32
) -> tuple[Network, Proof]:
    """Rescales a network by scales that were measured before, and proves that it still computes the same.

    Args:
        network: the original, with the scales' pooling.
        scales: measured on these weights.
        held_out: images (N, 3, H, W) on which the two networks are compared.
        dtype: float32, or float16 for half the file and means that are one to three digits.

    Raises:
        ToolkitError: when the network is normalised already, the scales belong to another, or the proof fails.
    """
    if network.mean_activations:
        raise ToolkitError("This network is normalised already: start from the original weights.")
    if not scales.fits(network):
        raise ToolkitError("These scales were measured on other weights: normalise over images instead.")
    if network.pooling != scales.pooling:
        raise ToolkitError(
            f"These scales were measured under {scales.pooling} pooling: use --pooling {scales.pooling}."
        )
    provenance = {
        **scales.provenance,
        "weights": scales.weights,
        "pooling": scales.pooling,
        "precision": str(dtype).removeprefix("torch."),
    }
    rescaled = rescale(network, scales.means, provenance, dtype)
    error = largest_relative_error(network, rescaled, held_out, TOLERANCES[dtype])
    return rescaled, Proof(error, sum(int((mean == 0).sum()) for mean in scales.means.values()))


@dataclass(frozen=True)
class Normalized:
    """A normalised network, the scales that made it, and the proof."""

    network: Network
    scales: Scales
    proof: Proof


def normalize(
    networks: Sequence[Network],
    job: Job,
    held_out: Sequence[Tensor],
    provenance: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[list[Normalized], Measurement]:
    """Rescales networks so that every filter's mean activation over the images is one.

    Two passes over the images: one on the originals, and one on the results, which measures the means anew.

    Args:
        networks: the originals, on one device, each with the pooling it is to be used with.
        job: how to measure.
        held_out: images (N, 3, H, W) apart from those, on which originals and results are compared.
        provenance: where the images come from.
        dtype: float32, or float16 for half the file and means that are one to three digits.

    Returns:
        The results, and the first pass.

    Raises:
        ToolkitError: when a network is normalised already, no image could be read, or the proof fails.
    """
    scales, measured = job.scales(networks, provenance or {})
    applied = [apply_scales(*pair, held_out, dtype) for pair in zip(networks, scales, strict=True)]
    again = job.measure([rescaled for rescaled, _ in applied])
    results = [
        Normalized(rescaled, own, Proof(proof.relative_error, proof.silent, sums.means()))
        for (rescaled, proof), own, sums in zip(applied, scales, again.sums, strict=True)
    ]
    return results, measured
