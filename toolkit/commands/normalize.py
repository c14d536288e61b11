"""``normalize``: rescales a VGG over a set of images, checks it, and writes it with its provenance."""

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch

from ..choices import Arithmetic, Pooling, Preparation
from ..data.remote import is_remote, named
from ..data.sources import list_images
from ..data.stream import PREPARATIONS, ImageStream, decoders
from ..device import find_device
from ..distributed import Ranks
from ..errors import ToolkitError
from ..files import check_outputs, check_space, written_atomically
from ..network import POOLINGS, PRECISIONS, Network, load_network, rounded, save_network
from ..normalize import RECHECK, Job, MeanActivations, Normalized, apply, example_stream, normalize
from ..normalize.check import held_out
from ..normalize.facts import facts, in_words, skipped_in_words
from ..normalize.mean_activations import SUFFIX
from ..normalize.report import report
from .common import SOURCE_HELP, add_device_option, add_output_option, add_source_options, not_negative, positive
from .progress import counting


class Preset(NamedTuple):
    """Settings that go together."""

    pooling: Pooling
    preparation: Preparation


PRESETS = {"synthesis": Preset("average", "crop"), "gatys": Preset("max", "stretch")}


def add_commands(commands: Any) -> None:
    """Adds ``normalize``."""
    parser = commands.add_parser(
        "normalize",
        help="rescale a VGG so that every filter's mean activation is one",
        description="Measures the mean activation of every filter over images, rescales the network so that each "
        "becomes one, checks that it still computes the same, and writes it. If the command is interrupted, run it "
        "again and it continues where it was. Under torchrun, all processes share the images.",
        epilog="Exit status: 0 when the file is written, 2 for something you can put right, 130 when interrupted. "
        "After the last two the same command continues.",
    )
    parser.add_argument("source", help=SOURCE_HELP)
    parser.add_argument(
        "images",
        nargs="*",
        help="folders, .tar archives, .parquet files or .txt lists of images, such as ImageNet's validation set; here "
        "or at an address (https://, hf://, s3://); 'val-{00..63}.tar' and 'val-*.tar' name several. Or a "
        f"{SUFFIX} file of mean activations from an earlier run (default: four photographs, which give "
        "approximate mean activations)",
    )
    add_output_option(
        parser, f"the file to write: NAME.safetensors for the network, NAME{SUFFIX} for the mean activations alone"
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="synthesis",
        help="synthesis: average pooling, centre crops (default); gatys: max pooling, images stretched to 256 x 256, "
        "which with Caffe's VGG-19 is how the paper's network was made",
    )
    parser.add_argument(
        "--pooling",
        choices=[*POOLINGS, "both"],
        help="the pooling to measure under (default: the preset's); one file holds both",
    )
    parser.add_argument(
        "--prepare",
        choices=PREPARATIONS,
        help="crop: shorter side to 256, centre 224 x 224; stretch: the whole image to 256 x 256; "
        "native: the image as it is (default: the preset's); colour profiles and EXIF's turning are ignored, as they "
        "were when the network was trained",
    )
    parser.add_argument("--sample", type=positive, metavar="N", help="use N of the images, chosen at random")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the choice (default: 0)")
    parser.add_argument("--strict", action="store_true", help="stop at the first image or archive that cannot be read")
    parser.add_argument(
        "--recheck",
        type=not_negative,
        default=RECHECK,
        metavar="N",
        help=f"measure the result again on N of the images, 0 for none (default: {RECHECK})",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report too, one .html page")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="N", help="images at a time (default: 8)")
    parser.add_argument(
        "--workers",
        type=not_negative,
        metavar="N",
        help="processes that decode images (default: chosen for the device)",
    )
    parser.add_argument(
        "--arithmetic",
        choices=get_args(Arithmetic),
        help="of the measurement (default: tf32 on a GPU, float32 elsewhere); sums are float64 in any case",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of the weights in the file: float16 halves its size, 8bit quarters it; they are rounded first, and "
        "normalised as they will be read (default: float32)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_source_options(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Normalises, prints the check, writes the file."""
    if arguments.output.suffix not in (SUFFIX, ".safetensors"):
        raise ToolkitError(f"{arguments.output} must end in .safetensors or {SUFFIX}.")
    if arguments.output.suffix == SUFFIX and (arguments.pooling == "both" or arguments.report):
        raise ToolkitError(f"A {SUFFIX} file holds one pooling and has no report: leave out --pooling both, --report.")
    if not arguments.images and arguments.sample:
        raise ToolkitError("There are no images to take a --sample of: name a folder, archive or list.")
    check_outputs(filter(None, (arguments.output, arguments.report)))
    where = find_device(arguments.device)
    if any(source.endswith(SUFFIX) for source in arguments.images):
        return _apply(arguments, where)
    ranks = Ranks.join(where)
    try:
        return _measure(arguments, where, ranks)
    finally:
        ranks.leave()


def _apply(arguments: argparse.Namespace, where: torch.device) -> int:
    surplus = [f"--{name}" for name in ("pooling", "prepare", "sample", "report") if getattr(arguments, name)]
    if surplus or len(arguments.images) > 1 or arguments.output.suffix == SUFFIX:
        raise ToolkitError(
            f"A {SUFFIX} file takes the place of images, and gives a .safetensors file: name no images beside it, and "
            "leave out --pooling, --prepare, --sample and --report."
        )
    known = MeanActivations.load(Path(arguments.images[0]).expanduser())
    original = _original(arguments, known.pooling, where)
    photographs = held_out(where)
    result = apply(original, known, photographs)
    save_network(original, arguments.output, arguments.precision, [result.network])
    _print(arguments, facts(None, [result]), len(photographs))
    return 0


def _measure(arguments: argparse.Namespace, where: torch.device, ranks: Ranks) -> int:
    preset = PRESETS[arguments.preset]
    pooling = arguments.pooling or preset.pooling
    poolings = POOLINGS if pooling == "both" else (pooling,)
    original = _original(arguments, poolings[0], where)
    originals = [original, *(_with_pooling(original, each) for each in poolings[1:])]
    means_only = arguments.output.suffix == SUFFIX
    check_space(arguments.output, 0 if means_only else sum(weight.numel() for weight in original.parameters()) * 4)
    images, provenance = _images(arguments, preset, where, ranks)
    photographs = held_out(where)
    recheck = 0 if means_only else min(arguments.recheck, len(images.entries))
    if ranks.first:
        print(f"{len(images.entries):,} images; {arguments.output} can be written", file=sys.stderr)
    with counting(len(images.entries) + recheck, "image", ranks) as progress:
        arithmetic: Arithmetic = arguments.arithmetic or ("tf32" if where.type == "cuda" else "float32")
        job = Job(images, arithmetic, ranks, arguments.output, progress)
        try:
            if means_only:
                means, measurement = job.mean_activations(originals, provenance)
                results: list[Normalized] = []
            else:
                results, measurement = normalize(originals, job, photographs, provenance, recheck)
        except KeyboardInterrupt:
            print("Interrupted. What was done is kept: run the same command to continue.", file=sys.stderr)
            return 130
    if ranks.first:
        if means_only:
            means[0].save(arguments.output)
        else:
            save_network(original, arguments.output, arguments.precision, [result.network for result in results])
        if arguments.report is not None:
            with written_atomically(arguments.report) as temporary:
                temporary.write_text(report(results, measurement), encoding="utf-8", errors="backslashreplace")
        _print(arguments, facts(measurement, results), len(photographs))
    ranks.all_gather(None)  # no process deletes its sums before the result is safe
    job.forget()
    return 0


def _original(arguments: argparse.Namespace, pooling: Pooling, where: torch.device) -> Network:
    """The network as it was trained, in the precision in which it will be read."""
    loaded = load_network(arguments.source, convention=arguments.convention, pooling=pooling, normalized=False)
    return rounded(loaded, arguments.precision).to(where)


def _with_pooling(network: Network, pooling: Pooling) -> Network:
    other = copy.deepcopy(network)
    other.pooling = pooling
    return other


def _images(
    arguments: argparse.Namespace, preset: Preset, where: torch.device, ranks: Ranks
) -> tuple[ImageStream, dict[str, Any]]:
    """The images, and where they come from."""
    if not arguments.images:
        entries = example_stream().entries
        provenance = {"source": "scikit-image's photographs"}
    else:
        chosen = {"sample": arguments.sample, "seed": arguments.seed}
        if ranks.first and any(is_remote(each) for each in arguments.images):
            print("looking for images …", file=sys.stderr)
        # One process looks through the archives, so that all share the same images.
        entries = ranks.all_gather(list_images(*arguments.images, **chosen) if ranks.first else None)[0]
        provenance = {"source": named(*arguments.images), **(chosen if arguments.sample else {})}
    preparation = arguments.prepare or preset.preparation
    workers = decoders(where) if arguments.workers is None else arguments.workers
    return ImageStream(entries, preparation, arguments.batch_size, workers, arguments.strict), provenance


def _print(arguments: argparse.Namespace, known: dict[str, Any], photographs: int) -> None:
    """The facts, as JSON or in words."""
    written = [str(path) for path in (arguments.output, arguments.report) if path is not None]
    if arguments.json:
        print(json.dumps({"written": written, **known}, indent=2))
        return
    for line in skipped_in_words(known.get("skipped", {})):
        print(line, file=sys.stderr)
    for line in in_words(known, photographs):
        print(line)
    for path in written:
        print(f"written to {path}")
