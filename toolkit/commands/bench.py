"""``bench``: how fast and how small, beside a textbook baseline in the same run."""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..bench import bench_images, bench_memory, bench_normalize, bench_step, bench_transfer, image_means
from ..data.sources import Example, Source, list_images
from ..device import find_device
from ..distributed import ALONE
from ..errors import ToolkitError
from ..pictures.io import example_photographs, open_image
from .common import add_network_options, byte_count, network, positive
from .progress import counting

#: What scikit-image's photographs are painted like when no pictures are named: a drawn style for each.
STYLES = Path(__file__).parents[2] / "demo" / "examples"
PAIRS = {
    "astronaut": "stained_glass",
    "chelsea": "oil_garden",
    "coffee": "woodblock_waves",
    "rocket": "night_swirls",
}

#: Evaluations of a transfer; and those after which the memory that the textbook's L-BFGS takes grows no more.
TRANSFER, FILLED = 300, 105

#: How often those photographs are measured when no images are named.
REPEATS = 16


def add_commands(commands: Any) -> None:
    """Adds ``bench``."""
    parser = commands.add_parser(
        "bench",
        help="measure time and memory beside a textbook implementation",
        description="Measures this machine. step: one evaluation of loss and gradient; transfer: time until an image "
        "is as good as the textbook's; normalize: images a second of a measuring pass; memory: the peak of a transfer; "
        "images: how far mean activations spread that were measured on 50 to 5,000 images. "
        "The textbook's version (autograd, float32, one scale) runs in turn with ours: read the ratios.",
    )
    parser.add_argument("what", choices=list(MEASURES))
    parser.add_argument(
        "--pictures",
        nargs="+",
        default=[],
        metavar="FILE",
        help="transfer: a content and a style image, and again (default: photographs in drawn styles); "
        "normalize and images: folders, archives or lists (default of normalize: photographs)",
    )
    parser.add_argument(
        "--size", type=_size, default=(512, 384), metavar="WxH", help="of the image in pixels (default: 512x384)"
    )
    parser.add_argument(
        "--rounds", type=positive, default=7, metavar="N", help="how often each step is measured (default: 7)"
    )
    parser.add_argument(
        "--iterations",
        nargs="+",
        type=positive,
        default=[],
        metavar="N",
        help=f"transfer: iterations of the textbook, one number or several (default: {TRANSFER}); "
        f"memory: iterations of each (default: {FILLED}, when the memory of the textbook's L-BFGS is full)",
    )
    parser.add_argument(
        "--memory",
        type=byte_count,
        default=10**9,
        metavar="SIZE",
        help="what the tiled one stays within (default: 1GB)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON with stable keys")
    add_network_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measures and prints."""
    found = {"network": arguments.network, **MEASURES[arguments.what](arguments)}
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    return 0


def _step(arguments: argparse.Namespace) -> dict[str, Any]:
    width, height = arguments.size
    found = bench_step(network(arguments), height, width, find_device(arguments.device), arguments.rounds)
    return {"width": width, "height": height, **found}


def _memory(arguments: argparse.Namespace) -> dict[str, Any]:
    width, height = arguments.size
    found = bench_memory(arguments.network, height, width, arguments.memory, max(arguments.iterations, default=FILLED))
    return {"width": width, "height": height, **found}


def _transfer(arguments: argparse.Namespace) -> dict[str, Any]:
    """The longer side of ``--size`` is the pictures' longest; their proportions are the photographs' own."""
    chosen, where, size = network(arguments), find_device(arguments.device), max(arguments.size)
    iterations = sorted({*arguments.iterations}) or [TRANSFER]
    pairs = {}
    for name, content, style in _pairs(arguments.pictures):
        print(f"{name} …", file=sys.stderr)
        pairs[name] = bench_transfer(chosen, content, style, size, iterations, where)
        for number, found in pairs[name].items():  # the rest may take an hour, and may be interrupted
            ours = "never" if (seconds := found["ours_seconds"]) is None else f"{seconds:.1f} s"
            told = f"as good as the textbook after {number} iterations: {found['textbook_seconds']:.1f} s, ours {ours}"
            print(told, file=sys.stderr)
    return {"size": size, "pairs": pairs, "median_ratio": {n: _median(pairs, n) for n in iterations}}


def _median(pairs: dict[str, dict[int, dict[str, float | None]]], iterations: int) -> float | None:
    """Of the ratios; a pair that never got there counts as the worst."""
    ratios = [math.inf if (ratio := found[iterations]["ratio"]) is None else ratio for found in pairs.values()]
    median = statistics.median(ratios)
    return median if median < math.inf else None


def _pairs(pictures: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """Names, content and style images."""
    if len(pictures) % 2:
        raise ToolkitError("A transfer takes pictures in pairs, content and style: name an even number of them.")
    if pictures:
        for content, style in zip(pictures[::2], pictures[1::2], strict=True):
            yield f"{Path(content).stem}-{Path(style).stem}", open_image(content), open_image(style)
        return
    photographs = example_photographs()
    for content, style in PAIRS.items():
        yield f"{content}-{style}", photographs[content], open_image(STYLES / f"{style}.jpg")


def _normalize(arguments: argparse.Namespace) -> dict[str, Any]:
    images: Sequence[Source] = [Example(name) for name in example_photographs()] * REPEATS
    if arguments.pictures:
        images = list_images(*arguments.pictures)
    return {"images": len(images), **bench_normalize(network(arguments), images, find_device(arguments.device))}


def _images(arguments: argparse.Namespace) -> dict[str, Any]:
    if not arguments.pictures:
        raise ToolkitError("How far means spread is measured over images: name some with --pictures.")
    images = list_images(*arguments.pictures)
    with counting(len(images), "image", ALONE) as progress:
        means = image_means(network(arguments), images, find_device(arguments.device), progress)
    return {"images": len(images), "spread": bench_images(means)}


MEASURES = {"step": _step, "transfer": _transfer, "normalize": _normalize, "memory": _memory, "images": _images}


def _print(found: dict[str, Any], indent: str = "") -> None:
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _print(value, indent + "  ")
        else:
            print(f"{indent}{name:<28}{value:.4g}" if isinstance(value, float) else f"{indent}{name:<28}{value}")


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 16:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 512x384, from 16x16 on")
    return width, height
