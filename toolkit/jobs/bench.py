"""How fast and how small, beside a textbook baseline in the same run."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ..errors import InputError
from ..fields import Bytes, Sides, field
from .job import LOG, Count, NetworkJob, Outcome

if TYPE_CHECKING:
    from ..network import Network

#: What scikit-image's photographs are painted like when no pictures are named: a drawn style for each.
STYLES = Path(__file__).parents[2] / "demo" / "examples"
PAIRS = {"astronaut": "stained_glass", "chelsea": "oil_garden", "coffee": "woodblock_waves", "rocket": "night_swirls"}

#: Evaluations of a transfer; and those after which the memory that the textbook's L-BFGS takes grows no more.
TRANSFER, FILLED = 300, 105

#: How often those photographs are measured when no images are named.
REPEATS = 16


class Bench(NetworkJob):
    """Measure time and memory beside a textbook implementation.

    Measures this machine. step: one evaluation of loss and gradient; transfer: time until an image is as good as the
    textbook's; normalize: images a second of a pass over images; memory: the peak of a transfer. The textbook's
    version (autograd, float32, one scale) runs in turn with ours: read the ratios.
    """

    as_json: ClassVar[bool] = True

    what: Literal["step", "transfer", "normalize", "memory"] = field(..., "what to measure", positional=True)
    pictures: tuple[str, ...] = field(
        (),
        "transfer: a content and a style image, and again (default: photographs, drawn styles); normalize: folders, "
        "archives or lists (default: photographs)",
        metavar="FILE",
    )
    size: Sides = field((512, 384), "size of the image in pixels", metavar="WxH")
    rounds: Count = field(7, "how often each step is measured, within a minute", metavar="N")
    iterations: tuple[Count, ...] = field(
        (),
        f"transfer: iterations of the textbook, one number or several (default: {TRANSFER}); memory: iterations of "
        f"each (default: {FILLED}, when the memory of the textbook's L-BFGS is full)",
        metavar="N",
    )
    memory: Bytes = field(10**9, "memory limit of the tiled one (default: 1GB)", metavar="SIZE")

    def load(self) -> "Network":
        """The network, which has to be a VGG."""
        from ..network import Network

        network = super().load()
        if not isinstance(network, Network):
            raise InputError("The textbook is of VGGs alone: name one.", "network")
        return network

    def run(self, progress: Any = lambda step: None) -> Outcome:
        from ..device import find_device, in_words

        facts = {"network": self.network, "machine": in_words(find_device(self.device)), **MEASURES[self.what](self)}
        return Outcome("\n".join(_table(facts)), facts)


def _step(job: Bench) -> dict[str, Any]:
    from ..bench import bench_step
    from ..device import find_device

    (width, height), where = job.size, find_device(job.device)

    def begins(number: int) -> None:
        LOG.info("round %d of %d …", number, job.rounds)

    found = bench_step(job.load(), height, width, where, job.rounds, begins)
    return {"width": width, "height": height, **found}


def _memory(job: Bench) -> dict[str, Any]:
    from ..bench import bench_memory

    width, height = job.size
    found = bench_memory(
        job.network, height, width, job.memory, max(job.iterations, default=FILLED), lambda name: LOG.info("%s …", name)
    )
    return {"width": width, "height": height, **found}


def _transfer(job: Bench) -> dict[str, Any]:
    """The longer side of the size is the pictures' longest; their proportions are the photographs' own."""
    from ..bench import bench_transfer
    from ..device import find_device

    network, where, size = job.load(), find_device(job.device), max(job.size)
    iterations = sorted({*job.iterations}) or [TRANSFER]
    pairs = {}
    for name, content, style in _pairs(job.pictures):
        LOG.info("%s …", name)
        pairs[name] = bench_transfer(network, content, style, size, iterations, where)
        for number, measured in pairs[name].items():  # the rest may take an hour, and may be interrupted
            ours = "never" if (seconds := measured["ours_seconds"]) is None else f"{seconds:.1f} s"
            theirs = f"{measured['textbook_seconds']:.1f} s"
            LOG.info("as good as the textbook after %d iterations: %s, ours %s", number, theirs, ours)
    return {"size": size, "pairs": pairs, "median_ratio": {n: _median(pairs, n) for n in iterations}}


def _median(pairs: dict[str, dict[int, dict[str, float | None]]], iterations: int) -> float | None:
    """Of the ratios; a pair that never got there counts as the worst."""
    ratios = [math.inf if (ratio := pair[iterations]["ratio"]) is None else ratio for pair in pairs.values()]
    median = statistics.median(ratios)
    return median if median < math.inf else None


def _pairs(pictures: tuple[str, ...]) -> Iterator[tuple[str, Any, Any]]:
    from ..pictures.io import example_photographs, open_image

    if len(pictures) % 2:
        raise InputError("A transfer takes pictures in pairs, content and style: name an even number.", "pictures")
    if pictures:
        for content, style in zip(pictures[::2], pictures[1::2], strict=True):
            yield f"{Path(content).stem}-{Path(style).stem}", open_image(content), open_image(style)
        return
    photographs = example_photographs()
    for content, style in PAIRS.items():
        yield f"{content}-{style}", photographs[content], open_image(STYLES / f"{style}.jpg")


def _normalize(job: Bench) -> dict[str, Any]:
    from ..bench import bench_normalize
    from ..data.sources import Source, list_images
    from ..device import find_device
    from ..normalize import example_stream

    images: Sequence[Source] = list_images(*job.pictures) if job.pictures else [*example_stream().entries] * REPEATS
    return {"images": len(images), **bench_normalize(job.load(), images, find_device(job.device))}


MEASURES: Mapping[str, Callable[[Bench], dict[str, Any]]] = {
    "step": _step,
    "transfer": _transfer,
    "normalize": _normalize,
    "memory": _memory,
}


def _table(facts: Mapping[Any, Any], indent: str = "") -> Iterator[str]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _table(value, indent + "  ")
        else:
            yield f"{indent}{name:<28}{value:.4g}" if isinstance(value, float) else f"{indent}{name:<28}{value}"
