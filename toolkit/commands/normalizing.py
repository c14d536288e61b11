"""``normalize``: a VGG rescaled over a folder of images, proven, and written with its provenance."""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ..errors import ToolkitError
from ..network import POOLINGS, load_network, save_network
from ..normalize import PREPARATIONS, ImageStream, list_images, normalize
from ..pictures import example_photographs, fit, open_image
from .common import SOURCE_HELP, add_device_option, add_source_options, device

PRECISIONS = {"float32": torch.float32, "float16": torch.float16}


def add_commands(commands: Any) -> None:
    """Adds ``normalize``."""
    parser = commands.add_parser(
        "normalize",
        help="rescale a VGG so that every filter's mean activation is one",
        description="Measures the mean activation of every filter over a folder of images, rescales the network so "
        "that each becomes one, proves that it still computes the same, and writes it.",
    )
    parser.add_argument("source", help=SOURCE_HELP)
    parser.add_argument("images", type=Path, help="a folder of images, such as ImageNet's validation set")
    parser.add_argument("--output", "-o", type=Path, required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument("--pooling", choices=POOLINGS, default="average", help="of the result (default: average)")
    parser.add_argument(
        "--prepare",
        choices=PREPARATIONS,
        default="crop",
        help="crop: shorter side to 256, centre 224 x 224 (default); stretch: all of it to 256 x 256; "
        "native: all of it at its own size",
    )
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="images at a time (default: 8)")
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
    """Normalises, prints the proof, writes the file."""
    if arguments.output.suffix != ".safetensors":
        raise ToolkitError(f"{arguments.output} must end in .safetensors.")
    where = device(arguments.device)
    original = load_network(arguments.source, convention=arguments.convention, pooling=arguments.pooling).to(where)
    images = ImageStream(list_images(arguments.images), arguments.prepare, max(1, arguments.batch_size))
    if arguments.held_out:
        held_out = [open_image(path) for path in list_images(arguments.held_out)]
    else:
        held_out = list(example_photographs().values())
    # Every image is measured twice: for the means, and for the proof.
    with tqdm(total=2 * len(images.paths), desc="measuring", unit="image") as bar:
        rescaled, proof = normalize(
            original,
            images,
            [fit(image, 256).to(where) for image in held_out],
            bar.update,
            PRECISIONS[arguments.precision],
        )
    for name, reason in images.skipped.items():
        print(f"skipped {name}: {reason}", file=sys.stderr)
    save_network(rescaled, arguments.output, PRECISIONS[arguments.precision])
    counted = rescaled.provenance["normalization"]["images"]
    print(f"{counted} images measured, {len(images.skipped)} skipped, {proof.silent} filters never fired")
    print(f"largest relative error of an output on {len(held_out)} held-out images: {proof.relative_error:.1e}")
    print(f"mean activations measured anew: within {proof.spread:.1e} of 1")
    print(f"written to {arguments.output}")
    return 0
