"""``normalize``: rescales a VGG over a set of images, checks it, and writes it with its provenance."""

import argparse
import copy
import sys
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor
from tqdm import tqdm

from ..device import find_device
from ..distributed import Ranks
from ..errors import ToolkitError
from ..files import check_writable, written_atomically
from ..images.io import example_photographs, fit
from ..network import POOLINGS, PRECISIONS, Network, Pooling, load_network, rounded, save_network
from ..normalize import (
    APPROXIMATE,
    PREPARATIONS,
    RECHECK,
    Check,
    ImageStream,
    Job,
    MeanActivations,
    Normalized,
    Preparation,
    apply,
    decoders,
    example_stream,
    list_images,
    normalize,
)
from ..normalize.mean_activations import SUFFIX
from ..normalize.measure import Arithmetic, Measurement
from ..normalize.report import report
from .common import SOURCE_HELP, add_device_option, add_source_options


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
    )
    parser.add_argument("source", help=SOURCE_HELP)
    parser.add_argument(
        "images",
        type=Path,
        nargs="?",
        help="a folder, an uncompressed .tar or a .txt list of images, such as ImageNet's validation set; or a "
        f"{SUFFIX} file of mean activations that were measured before (default: four photographs, which give "
        "approximate mean activations)",
    )
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"the file to write: NAME.safetensors for the network, NAME{SUFFIX} for the mean activations alone",
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
        "native: the image as it is (default: the preset's)",
    )
    parser.add_argument("--sample", type=_count, metavar="N", help="use N of the images, chosen at random")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of that choice (default: 0)")
    parser.add_argument("--strict", action="store_true", help="stop at the first image that cannot be read")
    parser.add_argument(
        "--recheck",
        type=int,
        default=RECHECK,
        metavar="N",
        help=f"measure the result again on N of the images, 0 for none (default: {RECHECK})",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report too, one .html page")
    parser.add_argument("--batch-size", type=_count, default=8, metavar="N", help="images at a time (default: 8)")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes that decode images (default: chosen for the device)"
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
        "measured as they will be read (default: float32)",
    )
    add_source_options(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Normalises, prints the check, writes the file."""
    if arguments.output.suffix not in (SUFFIX, ".safetensors"):
        raise ToolkitError(f"{arguments.output} must end in .safetensors or {SUFFIX}.")
    if arguments.output.suffix == SUFFIX and (arguments.pooling == "both" or arguments.report):
        raise ToolkitError(f"A {SUFFIX} file holds one pooling and has no report: leave out --pooling both, --report.")
    if arguments.images is None and arguments.sample:
        raise ToolkitError("There are no images to take a --sample of: name a folder, archive or list.")
    check_writable(arguments.output)
    where = find_device(arguments.device)
    if arguments.images is not None and arguments.images.suffix == SUFFIX:
        return _apply(arguments, where)
    ranks = Ranks.join(where)
    try:
        return _measure(arguments, where, ranks)
    finally:
        ranks.leave()


def _apply(arguments: argparse.Namespace, where: torch.device) -> int:
    known = MeanActivations.load(arguments.images)
    original = _original(arguments, known.pooling, where)
    held_out = _held_out(where)
    result = apply(original, known, held_out)
    save_network(original, arguments.output, arguments.precision, [result.network])
    _print_check(result.check, len(held_out))
    print(f"written to {arguments.output}, with the mean activations of {known.provenance.get('images', '?')} images")
    return 0


def _measure(arguments: argparse.Namespace, where: torch.device, ranks: Ranks) -> int:
    preset = PRESETS[arguments.preset]
    pooling = arguments.pooling or preset.pooling
    poolings = POOLINGS if pooling == "both" else (pooling,)
    original = _original(arguments, poolings[0], where)
    originals = [original, *(_with_pooling(original, each) for each in poolings[1:])]
    images, provenance = _images(arguments, preset, where)
    means_only = arguments.output.suffix == SUFFIX
    total = len(images.entries) + (0 if means_only else min(arguments.recheck, len(images.entries)))
    held_out = _held_out(where)
    with tqdm(total=total, desc="measuring", unit="image", disable=not ranks.first) as bar:
        job = Job(
            images,
            arguments.arithmetic or ("tf32" if where.type == "cuda" else "float32"),
            ranks,
            arguments.output,
            # The other processes are taken to be as far as this one.
            lambda done: bar.update(min(done * ranks.world_size, total - bar.n)),
        )
        try:
            if means_only:
                found, measured = job.mean_activations(originals, provenance)
                results: list[Normalized] = []
            else:
                results, measured = normalize(originals, job, held_out, provenance, arguments.recheck)
        except KeyboardInterrupt:
            print("Interrupted. What was measured is kept: run the same command to continue.", file=sys.stderr)
            return 130
    if ranks.first:
        _print_measurement(measured)
        if means_only:
            found[0].save(arguments.output)
        else:
            save_network(original, arguments.output, arguments.precision, [result.network for result in results])
        for result in results:
            _print_check(result.check, len(held_out))
        print(f"written to {arguments.output}")
        if arguments.report is not None:
            with written_atomically(arguments.report) as temporary:
                temporary.write_text(report(results, measured), encoding="utf-8")
            print(f"written to {arguments.report}")
        if arguments.images is None:
            print(f"note: {APPROXIMATE}")
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


def _images(arguments: argparse.Namespace, preset: Preset, where: torch.device) -> tuple[ImageStream, dict[str, Any]]:
    """The images, and where they come from."""
    if arguments.images is None:
        entries = example_stream().entries
        provenance = {"source": "scikit-image's photographs"}
    else:
        chosen = {"sample": arguments.sample, "seed": arguments.seed}
        entries = list_images(arguments.images, **chosen)
        provenance = {"source": arguments.images.name, **(chosen if arguments.sample else {})}
    preparation = arguments.prepare or preset.preparation
    workers = decoders(where) if arguments.workers is None else arguments.workers
    return ImageStream(entries, preparation, arguments.batch_size, workers, arguments.strict), provenance


def _held_out(where: torch.device) -> list[Tensor]:
    """scikit-image's photographs, on which the original and the result are compared."""
    return [fit(image, 256).to(where) for image in example_photographs().values()]


def _print_measurement(measured: Measurement) -> None:
    for reason in measured.skipped.values():
        print(f"skipped: {reason}", file=sys.stderr)
    print(
        f"{measured.images} images measured, {len(measured.skipped)} skipped, "
        f"{measured.images / measured.seconds:.1f} images/s, "
        f"{1 - measured.waiting / measured.seconds:.0%} of the time in the network"
    )


def _print_check(check: Check, held_out: int) -> None:
    print(f"largest relative error of an output on {held_out} held-out images: {check.relative_error:.1e}")
    if check.means is not None:
        print(
            f"mean activations measured again on {check.images} images: within {check.spread:.1e} of 1; "
            f"{check.silent} filters never fired"
        )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return int(text)
