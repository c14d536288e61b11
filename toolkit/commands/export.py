"""``export``: a network, or one step of a synthesis, as an ONNX file."""

import argparse
from typing import Any

from ..errors import ToolkitError
from ..export import PRECISIONS, export_features, export_step
from ..export.graphs import SUMMARIES
from ..files import check_outputs
from ..network import POOLINGS, load_network
from ..synthesis.notation import STYLE_LAYERS
from ..synthesis.recipe import CONTENT_LAYERS
from .common import SOURCE_HELP, add_output_option, add_source_options

#: What can be exported, each with its own options' defaults: those of a transfer.
KINDS: dict[str, dict[str, Any]] = {
    "features": {"layers": sorted({*CONTENT_LAYERS, *STYLE_LAYERS["balanced"]})},
    "step": {
        "content_layers": list(CONTENT_LAYERS),
        "style_layers": list(STYLE_LAYERS["balanced"]),
        "style_statistic": "gram",
    },
}


def add_commands(commands: Any) -> None:
    """Adds ``export``."""
    parser = commands.add_parser(
        "export",
        help="write a network, or one step of the synthesis, as ONNX",
        description="Write an ONNX file of standard operators for images of any size. The file is kept only if ONNX "
        "Runtime computes from it what PyTorch computes.",
    )
    parser.add_argument("source", help=SOURCE_HELP)
    parser.add_argument(
        "--kind",
        choices=KINDS,
        default="features",
        help="features: the output of layers; step: the losses of a transfer, their gradient in the image, and their "
        "targets (default: features)",
    )
    parser.add_argument(
        "--layers",
        type=_names,
        metavar="LAYERS",
        help="layers of the features (default: the layers of a transfer)",
    )
    parser.add_argument(
        "--content-layers",
        type=_names,
        metavar="LAYERS",
        help="content layers of the step (default: those of a transfer)",
    )
    parser.add_argument(
        "--style-layers",
        type=_names,
        metavar="LAYERS",
        help="style layers of the step (default: those of a transfer)",
    )
    parser.add_argument(
        "--style-statistic",
        choices=SUMMARIES,
        help="what of the features the step compares as style (default: gram)",
    )
    add_output_option(parser, "the .onnx file to write")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="how weights are stored; float16 (features only) also computes in float16, 8bit computes in float32 "
        "(default: float32)",
    )
    parser.add_argument(
        "--pooling", choices=POOLINGS, help="average or max pooling (default: the network's, or max if it says none)"
    )
    add_source_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the file and prints the largest error of each output."""
    if arguments.output.suffix != ".onnx":
        raise ToolkitError(f"{arguments.output} must end in .onnx.")
    named = {name: vars(arguments)[name] for options in KINDS.values() for name in options}
    named = {name: value for name, value in named.items() if value is not None}
    chosen = KINDS[arguments.kind] | named
    for name in chosen.keys() - KINDS[arguments.kind].keys():
        raise ToolkitError(f"--{name.replace('_', '-')} is no option of --kind {arguments.kind}: leave it out.")
    check_outputs([arguments.output])
    network = load_network(arguments.source, convention=arguments.convention, pooling=arguments.pooling)
    if arguments.kind == "features":
        errors = export_features(network, chosen["layers"], arguments.output, arguments.precision)
    else:
        layers = chosen["content_layers"], chosen["style_layers"]
        errors = export_step(network, *layers, arguments.output, arguments.precision, chosen["style_statistic"])
    print("largest error against PyTorch, over the largest value:")
    for name, error in errors.items():
        print(f"  {name:<20} {error:.1e}")
    print(f"written to {arguments.output}, {arguments.output.stat().st_size / 1e6:.1f} MB")
    return 0


def _names(text: str) -> list[str]:
    return [name for name in text.replace(" ", "").split(",") if name]
