"""What a run tells at its end, as plain values and in words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from .measure import Measurement
from .normalize import Normalized

#: What to say about what set the pace.
PACE = {
    "network": "the network's arithmetic sets the pace",
    "decoding": "decoding sets the pace: more --workers may help",
    "reading": "reading the files sets the pace: a faster disk or connection would help",
}


def summary(measurement: Measurement | None, results: Sequence[Normalized]) -> dict[str, Any]:
    """What was found, and how each result was checked; all of it fits into JSON.

    Args:
        measurement: the pass over the images, if there was one.
        results: by pooling.
    """
    passed = measurement and {
        "images": measurement.images,
        "skipped": measurement.skipped,
        "seconds": measurement.seconds,
        "images_per_second": measurement.rate,
        "network_share": measurement.working,
        "limit": measurement.limit,
        "standard_errors": measurement.sums[0].standard_errors(),
    }
    checks = {
        result.network.pooling: {
            "relative_error": result.check.relative_error,
            "silent": result.check.silent,
            "images": result.check.images,
            "spread": result.check.spread,
        }
        for result in results
    }
    return {**(passed or {}), "checks": checks}


def in_words(summary: dict[str, Any], held_out: int) -> Iterator[str]:
    """The same in sentences.

    Args:
        summary: from the function of that name.
        held_out: on how many images the outputs were compared.
    """
    if "images" in summary:
        yield (
            f"{summary['images']} images read, {len(summary['skipped'])} skipped, "
            f"{summary['images_per_second']:.1f} images/s, {summary['network_share']:.0%} of the time in the network; "
            f"{PACE[summary['limit']]}"
        )
    if errors := summary.get("standard_errors"):
        by_layer = ", ".join(f"{name.replace('conv', 'relu')} {error:.1%}" for name, error in errors.items())
        yield f"standard error of a filter's mean activation, the median of each layer: {by_layer}"
    for check in summary["checks"].values():
        yield f"largest relative error of an output on {held_out} held-out images: {check['relative_error']:.1e}"
        if check["images"]:
            yield (
                f"mean activations taken again over {check['images']} images: within {check['spread']:.1e} of 1; "
                f"{check['silent']} filters never fired"
            )


def skipped_in_words(skipped: dict[str, str]) -> Iterator[str]:
    """Each reason once, with how many images it cost."""
    for reason, count in Counter(skipped.values()).items():
        yield f"skipped: {reason}" + (f" ({count} images)" if count > 1 else "")
