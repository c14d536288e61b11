"""``compare``: the mean activations of two normalised networks against each other."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import ToolkitError
from ..network import Network, load_network
from ..normalize import MeanActivations
from ..normalize.comparison import agreement, implied_mean_activations
from ..normalize.mean_activations import SUFFIX
from .common import SOURCE_HELP, add_source_options


def add_commands(commands: Any) -> None:
    """Adds ``compare``."""
    parser = commands.add_parser(
        "compare",
        help="compare the mean activations of two normalised networks",
        description="Prints, layer by layer, how well the mean activations of two normalised networks agree. "
        "A file of this toolkit holds them. For other files they are computed from the weights and --original.",
    )
    parser.add_argument("a", metavar="A", help=f"a normalised network, or a {SUFFIX} file")
    parser.add_argument("b", metavar="B", help="another")
    parser.add_argument(
        "--original",
        metavar="SOURCE",
        help=f"the weights as trained, for other people's files: {SOURCE_HELP}",
    )
    add_source_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the table."""
    original = None
    if arguments.original:
        original = load_network(arguments.original, convention=arguments.convention, normalized=False)
    ours, theirs = (_mean_activations(source, original, arguments.convention) for source in (arguments.a, arguments.b))
    print("layer     log-correlation  median A/B  filters")
    for name, agreed in agreement(ours, theirs).items():
        layer = name.replace("conv", "relu")
        print(f"{layer:<10}{agreed.log_correlation:>15.5f}{agreed.median_ratio:>12.4f}{agreed.filters:>9}")
    return 0


def _mean_activations(source: str, original: Network | None, convention: str | None) -> Mapping[str, Tensor]:
    if source.endswith(SUFFIX):
        return MeanActivations.load(Path(source)).means
    network = load_network(source, convention=convention)
    if network.mean_activations:
        return network.mean_activations
    if original is None:
        raise ToolkitError(
            f"{source} holds no mean activations: name the weights as they were trained with --original."
        )
    return implied_mean_activations(network, original)
