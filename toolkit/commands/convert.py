"""``convert``: a network in the layout of other people's files."""

import argparse
from typing import Any

from ..network import LAYOUTS, POOLINGS, load_network, write_foreign
from .common import SOURCE_HELP, add_output_option, add_source_options


def add_commands(commands: Any) -> None:
    """Adds ``convert``."""
    parser = commands.add_parser(
        "convert",
        help="write a network in the layout of other people's files",
        description="Writes the weights of a network under the keys that other programs expect, reads the file back, "
        "and keeps it only if it holds the same network.",
    )
    parser.add_argument("source", help=SOURCE_HELP)
    parser.add_argument(
        "--layout",
        choices=LAYOUTS,
        required=True,
        help="torchvision: features.0.weight …; adain: 0.weight …, numbered as in AdaIN's vgg_normalised.pth, where a "
        "1 x 1 convolution does the preprocessing; plain: conv1_1.weight …",
    )
    add_output_option(parser, "the file to write: NAME.safetensors, or NAME.pth for a PyTorch state dict")
    parser.add_argument("--original", action="store_true", help="write the weights as trained, not normalised")
    parser.add_argument("--pooling", choices=POOLINGS, help="the pooling it is normalised for (default: average)")
    add_source_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the file, and says what its layout cannot."""
    network = load_network(
        arguments.source,
        convention=arguments.convention,
        pooling=arguments.pooling,
        normalized=not arguments.original,
    )
    write_foreign(network, arguments.output, arguments.layout)
    preprocessing = network.preprocessing
    if arguments.layout == "adain":
        print("input: RGB in [0, 1]; the first convolution does the preprocessing")
    else:
        print(
            f"input: {preprocessing.channels} in [0, {preprocessing.range:g}], less {preprocessing.mean}, "
            f"over {preprocessing.std}"
        )
    if network.mean_activations:
        print(f"normalised for {network.pooling} pooling")
    print(f"written to {arguments.output}")
    return 0
