"""``normalize``: VGGs rescaled over a set of images, proven, and written with their provenance."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor
from tqdm import tqdm

from ..device import find_device
from ..distributed import Ranks
from ..errors import ToolkitError
from ..files import written_atomically
from ..images.io import example_photographs, fit, to_tensor
from ..images.sources import Source
from ..network import POOLINGS, Pooling, load_network, save_network
from ..normalize import (
    APPROXIMATE,
    PREPARATIONS,
    ImageStream,
    Job,
    Normalized,
    Preparation,
    Proof,
    Scales,
    apply_scales,
    decoders,
    example_stream,
    list_images,
    normalize,
)
from ..normalize.mean_activations import SUFFIX
from ..normalize.measure import Arithmetic, Measurement
from ..normalize.report import report
from .common import SOURCE_HELP, add_device_option, add_source_options

PRECISIONS = {"float32": torch.float32, "float16": torch.float16}


class Preset(NamedTuple):
    """What goes together: ``synthesis`` serves our own; ``gatys`` is how the paper's network was made."""

    pooling: Pooling
    preparation: Preparation


PRESETS = {"synthesis": Preset("average", "crop"), "gatys": Preset("max", "stretch")}


def add_commands(commands: Any) -> None:
    """Adds ``normalize``."""
    parser = commands.add_parser(
        "normalize",
        help="rescale a VGG so that every filter's mean activation is one",
        description="Measures the mean activation of every filter over images, rescales the network so that each "
        "becomes one, proves that it still computes the same, and writes it. Ended at any moment, the same command "
        "goes on where it was. Under torchrun, all processes share the images.",
    )
    parser.add_argument("source", help=SOURCE_HELP)
    parser.add_argument(
        "images",
        type=Path,
        nargs="?",
        help="a folder, an uncompressed .tar or a .txt list of images, such as ImageNet's validation set "
        "(default: the four photographs at hand, which give approximate scales)",
    )
    parser.add_argument(
        "--output", "-o", type=Path, required=True, metavar="FILE", help=f"the .safetensors or {SUFFIX} to write"
    )
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default="synthesis",
        help="synthesis: average pooling, centre crops (default); gatys: max pooling, stretched to 256 x 256, which "
        "with Caffe's VGG-19 is how the paper's network was made",
    )
    parser.add_argument("--pooling", choices=[*POOLINGS, "both"], help="of the result; both writes two files")
    parser.add_argument(
        "--prepare",
        choices=PREPARATIONS,
        help="crop: shorter side to 256, centre 224 x 224; stretch: all of it to 256 x 256; "
        "native: all of it at its own size",
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="the first N images")
    parser.add_argument("--sample", type=_count, metavar="N", help="N images at random")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the sample (default: 0)")
    parser.add_argument("--strict", action="store_true", help="stop at the first image that can't be read")
    parser.add_argument("--scales", type=Path, metavar="FILE", help="apply these scales instead of measuring images")
    parser.add_argument(
        "--scales-only", action="store_true", help=f"write the mean activations alone, as a {SUFFIX} file"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="an .html page that tells and shows all of it")
    parser.add_argument("--batch-size", type=_count, default=8, metavar="N", help="images at a time (default: 8)")
    parser.add_argument("--workers", type=int, metavar="N", help="decoding processes (default: as the device needs)")
    parser.add_argument(
        "--arithmetic",
        choices=get_args(Arithmetic),
        help="of the measurement (default: tf32 on a GPU, float32 elsewhere); sums are float64 in any case",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of the weights written; float16 halves the file, and makes the means one to three digits only",
    )
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="FOLDER",
        help="images for the proof (default: scikit-image's public-domain photographs)",
    )
    add_source_options(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Normalises, prints the proof, writes what was asked for."""
    suffix = SUFFIX if arguments.scales_only else ".safetensors"
    if arguments.output.suffix != suffix:
        raise ToolkitError(f"{arguments.output} must end in {suffix}.")
    if arguments.scales_only and arguments.report is not None:
        raise ToolkitError("A report tells of a whole normalisation: leave out --scales-only, or --report.")
    if arguments.images is None and (arguments.limit or arguments.sample):
        raise ToolkitError("There are no images to take --limit or --sample of: name a folder, archive or list.")
    if arguments.scales is not None:
        return _apply(arguments)
    where = find_device(arguments.device)
    ranks = Ranks.join(where)
    try:
        return _measure(arguments, where, ranks)
    finally:
        ranks.leave()


def _apply(arguments: argparse.Namespace) -> int:
    if arguments.images is not None or arguments.scales_only:
        raise ToolkitError("With --scales nothing is measured: leave out the images and --scales-only.")
    scales = Scales.load(arguments.scales)
    where = find_device(arguments.device)
    original = load_network(arguments.source, convention=arguments.convention, pooling=scales.pooling).to(where)
    held_out = _held_out(arguments, where)
    rescaled, proof = apply_scales(original, scales, held_out, PRECISIONS[arguments.precision])
    save_network(rescaled, arguments.output, PRECISIONS[arguments.precision])
    _tell_proof(proof, len(held_out))
    print(f"written to {arguments.output}, with the scales of {scales.provenance.get('images', '?')} images")
    return 0


def _measure(arguments: argparse.Namespace, where: torch.device, ranks: Ranks) -> int:
    preset = PRESETS[arguments.preset]
    pooling = arguments.pooling or preset.pooling
    precision = PRECISIONS[arguments.precision]
    originals = [
        load_network(arguments.source, convention=arguments.convention, pooling=each).to(where)
        for each in (POOLINGS if pooling == "both" else [pooling])
    ]
    held_out = _held_out(arguments, where)
    images, provenance = _images(arguments, preset, where)
    # Every image is measured twice: for the means, and for the proof.
    total = len(images.entries) * (1 if arguments.scales_only else 2)
    with tqdm(total=total, desc="measuring", unit="image", disable=not ranks.first) as bar:
        job = Job(
            images,
            arguments.arithmetic or ("tf32" if where.type == "cuda" else "float32"),
            ranks,
            arguments.output,
            # The others' share of the work is taken to be as far as this one's.
            lambda done: bar.update(min(done * ranks.world_size, total - bar.n)),
        )
        try:
            if arguments.scales_only:
                scales, measured = job.scales(originals, provenance)
                results: list[Normalized] = []
            else:
                results, measured = normalize(originals, job, held_out, provenance, precision)
                scales = [result.scales for result in results]
        except KeyboardInterrupt:
            print("Interrupted: what was measured is kept; the same command goes on from there.", file=sys.stderr)
            return 130
    if ranks.first:
        _tell(measured)
        outputs = [_output(arguments.output, own.pooling, several=len(scales) > 1) for own in scales]
        if arguments.scales_only:
            for own, output in zip(scales, outputs, strict=True):
                own.save(output)
        for result, output in zip(results, outputs, strict=False):
            save_network(result.network, output, precision)
            _tell_proof(result.proof, len(held_out))
        if arguments.report is not None and results:
            with written_atomically(arguments.report) as temporary:
                temporary.write_text(report(results, measured), encoding="utf-8")
            outputs.append(arguments.report)
        print(f"written to {', '.join(map(str, outputs))}")
        if arguments.images is None:
            print(f"note: {APPROXIMATE}")
    ranks.all_gather(None)  # nobody forgets its share before the result is safe
    job.forget()
    return 0


def _images(arguments: argparse.Namespace, preset: Preset, where: torch.device) -> tuple[ImageStream, dict[str, Any]]:
    """The images that were asked for, and what to say of where they come from."""
    if arguments.images is None:
        entries: Sequence[Source] = example_stream().entries
        provenance = {"source": "scikit-image's photographs"}
    else:
        chosen = {"limit": arguments.limit, "sample": arguments.sample, "seed": arguments.seed}
        entries = list_images(arguments.images, **chosen)
        provenance = {"source": arguments.images.name, **chosen}
    preparation = arguments.prepare or preset.preparation
    workers = decoders(where) if arguments.workers is None else arguments.workers
    return ImageStream(entries, preparation, arguments.batch_size, workers, arguments.strict), provenance


def _held_out(arguments: argparse.Namespace, where: torch.device) -> list[Tensor]:
    """The images on which original and result are compared."""
    if arguments.held_out:
        images = [to_tensor(entry.picture()) for entry in list_images(arguments.held_out)]
    else:
        images = list(example_photographs().values())
    return [fit(image, 256).to(where) for image in images]


def _output(path: Path, pooling: Pooling, *, several: bool) -> Path:
    return path.with_name(f"{path.stem}-{pooling}{path.suffix}") if several else path


def _tell(measured: Measurement) -> None:
    for reason in measured.skipped.values():
        print(f"skipped: {reason}", file=sys.stderr)
    print(
        f"{measured.images} images measured, {len(measured.skipped)} skipped, "
        f"{measured.images / measured.seconds:.1f} images/s, "
        f"{1 - measured.waiting / measured.seconds:.0%} of the time in the network"
    )


def _tell_proof(proof: Proof, held_out: int) -> None:
    print(f"largest relative error of an output on {held_out} held-out images: {proof.relative_error:.1e}")
    if proof.means is not None:
        print(f"mean activations measured anew: within {proof.spread:.1e} of 1; {proof.silent} filters never fired")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return int(text)
