"""``atlas``: the image patches that excite each channel of a network most."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..atlas import LAYERS, SUFFIX, example_images, measure
from ..data.remote import named
from ..data.sources import list_images
from ..data.stream import decoders
from ..device import find_device
from ..errors import ToolkitError
from ..files import check_outputs
from ..normalize import load_normalized
from .common import SOURCE_HELP, add_device_option, add_output_option, add_source_options


def add_commands(commands: Any) -> None:
    """Adds ``atlas``."""
    parser = commands.add_parser(
        "atlas",
        help="find the image patches that excite each channel of a network most",
        description="Finds, in one pass over images, the nine image patches that excite each channel of some layers "
        "most, at most one from each image.",
    )
    parser.add_argument("network", help=SOURCE_HELP)
    parser.add_argument(
        "images",
        nargs="*",
        help="folders, archives or lists of images, as for normalize (default: scikit-image's photographs)",
    )
    parser.add_argument(
        "--layers", default=",".join(LAYERS), metavar="LAYERS", help=f"which (default: {','.join(LAYERS)})"
    )
    add_output_option(parser, f"the {SUFFIX} to write")
    add_source_options(parser)
    add_device_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measures, cuts the patches out, and writes them."""
    output: Path = arguments.output
    if output.suffix != SUFFIX:
        raise ToolkitError(f"{output} must end in {SUFFIX}.")
    check_outputs([output])
    where = find_device(arguments.device)
    network = load_normalized(arguments.network, convention=arguments.convention)
    images = list_images(*arguments.images) if arguments.images else example_images()
    source = named(*arguments.images) if arguments.images else "scikit-image's photographs"
    layers = [layer.strip() for layer in arguments.layers.split(",")]
    steps = measure(network.to(where), images, layers, provenance={"source": source}, workers=decoders(where))
    with tqdm(unit="image") as bar:
        for step in steps:
            if step.stage != bar.desc.removesuffix(": "):
                bar.reset(step.total)
                bar.set_description(step.stage)
            bar.update(step.done - bar.n)
    assert step.atlas is not None
    step.atlas.write(output)
    for reason in step.skipped.values():
        print(f"skipped: {reason}", file=sys.stderr)
    channels = sum(step.atlas.channels(layer) for layer in step.atlas.layers)
    print(f"{step.atlas.images} images read, {len(step.skipped)} skipped, {channels} channels")
    print(f"written to {output}")
    return 0
