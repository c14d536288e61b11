"""The facts of a normalisation, collected once: for JSON, the sentences printed, the report and the model card."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..network import Network
from .check import spread_around_one
from .measure import Measurement
from .normalize import Normalized

QUANTILES = {"least": 0.0, "lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75, "largest": 1.0}


def facts(measurement: Measurement | None, results: Sequence[Normalized]) -> dict[str, Any]:
    """What a pass over images found, if there was one, and how each result was checked; all of it fits into JSON."""
    measured = measurement and {
        "images": measurement.images,
        "skipped": measurement.skipped,
        "seconds": measurement.seconds,
        "images_per_second": measurement.rate,
        "network_share": measurement.working,
        "standard_errors": measurement.sums[0].standard_errors(),
    }
    checks = {
        result.network.pooling: {
            **network_facts(result.network, result.relative_error, result.remeasured),
            "images": result.images,
        }
        for result in results
    }
    return {**(measured or {}), "checks": checks}


def network_facts(
    network: Network, relative_error: float, remeasured: Mapping[str, Tensor] | None = None
) -> dict[str, Any]:
    """The facts of one normalised network, with the largest relative error of an output against the original's.

    ``remeasured``: by convolution, the mean activations that were taken again, (O).
    """
    remeasured = remeasured or {}
    errors = network.provenance.get("normalization", {}).get("standard_errors", {})
    layers = {}
    for name, mean in network.mean_activations.items():
        quantiles = torch.quantile(mean, torch.tensor([*QUANTILES.values()], dtype=mean.dtype)).tolist()
        layers[_behind(name)] = {
            "filters": len(mean),
            **dict(zip(QUANTILES, quantiles, strict=True)),
            "standard_error": errors.get(name),
            "spread": spread_around_one({name: remeasured[name]}) if remeasured else None,
        }
    return {
        "relative_error": relative_error,
        "silent": sum(int((mean == 0).sum()) for mean in network.mean_activations.values()),
        "spread": spread_around_one(remeasured),
        "layers": layers,
    }


def in_words(facts: Mapping[str, Any], photographs: int) -> Iterator[str]:
    """The ``facts`` in sentences; outputs were compared on so many photographs."""
    if "images" in facts:
        yield (
            f"{facts['images']} images read, {len(facts['skipped'])} skipped, "
            f"{facts['images_per_second']:.1f} images/s, {facts['network_share']:.0%} of the time in the network, the "
            "rest waiting for images"
        )
    if errors := facts.get("standard_errors"):
        by_layer = ", ".join(f"{_behind(name)} {error:.1%}" for name, error in errors.items())
        yield f"standard error of a filter's mean activation, the median of each layer: {by_layer}"
    for check in facts["checks"].values():
        yield f"largest relative error of an output on {photographs} held-out images: {check['relative_error']:.1e}"
        if check["images"]:
            yield (
                f"mean activations taken again over {check['images']} images: within {check['spread']:.1e} of 1; "
                f"{check['silent']} filters never fired"
            )


def skipped_in_words(skipped: Mapping[str, str]) -> Iterator[str]:
    """Each reason once, with how many images it cost."""
    for reason, count in Counter(skipped.values()).items():
        yield f"skipped: {reason}" + (f" ({count} images)" if count > 1 else "")


def _behind(name: str) -> str:
    """The ReLU behind a VGG's convolution; any other layer itself."""
    return re.sub(r"^conv(?=\d_\d$)", "relu", name)
