"""``export``: a network, or the whole loss-and-gradient step, as an ONNX file."""

import argparse
from pathlib import Path
from typing import Any

from ..errors import ToolkitError
from ..export import BOUNDS, PRECISIONS, export_features, export_step
from ..network import load_network
from ..synthesis.recipe import CONTENT_LAYERS, STYLE_LAYERS
from .common import SOURCE_HELP, add_source_options


def add_commands(commands: Any) -> None:
    """Adds ``export``."""
    parser = commands.add_parser(
        "export",
        help="write a network, or one step of the synthesis, as ONNX",
        description="Writes an ONNX file of standard operators, for images of any size, and checks it: it is valid, "
        "and ONNX Runtime computes what PyTorch does.",
    )
    parser.add_argument("source", help=SOURCE_HELP)
    parser.add_argument(
        "--layers",
        type=_names,
        default=sorted({*CONTENT_LAYERS, *STYLE_LAYERS}),
        metavar="LAYERS",
        help="whose features to give (default: the layers of a transfer)",
    )
    parser.add_argument(
        "--step", action="store_true", help="export losses and gradient instead, which is all that an optimiser needs"
    )
    parser.add_argument(
        "--content-layers", type=_names, default=list(CONTENT_LAYERS), metavar="LAYERS", help="of the step"
    )
    parser.add_argument("--style-layers", type=_names, default=list(STYLE_LAYERS), metavar="LAYERS", help="of the step")
    parser.add_argument("--output", "-o", type=Path, required=True, metavar="FILE", help="the .onnx to write")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of the weights: float16 computes in it too, int8 computes in float32 (default: float32)",
    )
    parser.add_argument("--pooling", help="for a network that is not normalised (default: max)")
    add_source_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the file and prints the largest error of each output."""
    if arguments.output.suffix != ".onnx":
        raise ToolkitError(f"{arguments.output} must end in .onnx.")
    if arguments.step and arguments.precision != "float32":
        raise ToolkitError("A step is exported in float32 alone: its gradients are too small for 16 bits.")
    network = load_network(arguments.source, convention=arguments.convention, pooling=arguments.pooling)
    if arguments.step:
        errors = export_step(network, arguments.content_layers, arguments.style_layers, arguments.output)
    else:
        errors = export_features(network, arguments.layers, arguments.output, arguments.precision)
    print(f"largest error against PyTorch, over the largest value (refused above {BOUNDS[arguments.precision]:.0e}):")
    for name, error in errors.items():
        print(f"  {name:<18} {error:.1e}")
    print(f"written to {arguments.output}, {arguments.output.stat().st_size / 1e6:.1f} MB")
    return 0


def _names(text: str) -> list[str]:
    return [name for name in text.replace(" ", "").split(",") if name]
