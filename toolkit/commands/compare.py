"""``compare``: the scales of two normalisations against each other."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import ToolkitError
from ..network import Network, load_network
from ..normalize import Scales
from ..normalize.comparison import agreement, implied_scales
from ..normalize.mean_activations import SUFFIX
from .common import SOURCE_HELP


def add_commands(commands: Any) -> None:
    """Adds ``compare``."""
    parser = commands.add_parser(
        "compare",
        help="compare the scales of two normalised networks",
        description="Prints, layer by layer, how the mean activations that two networks were normalised by agree. "
        "A network of ours holds them. Anyone else's is compared with the original that it was made from.",
    )
    parser.add_argument("a", metavar="A", help=f"a normalised network, or a file of scales (*{SUFFIX})")
    parser.add_argument("b", metavar="B", help="another")
    parser.add_argument(
        "--original", metavar="SOURCE", help=f"the weights that were normalised, for files of others: {SOURCE_HELP}"
    )
    parser.add_argument("--convention", help="of files that don't say it: torchvision or caffe")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the table."""
    original = load_network(arguments.original, convention=arguments.convention) if arguments.original else None
    ours, theirs = (_scales(source, original, arguments.convention) for source in (arguments.a, arguments.b))
    print("layer     log-correlation  median A/B  filters")
    for name, agreed in agreement(ours, theirs).items():
        layer = name.replace("conv", "relu")
        print(f"{layer:<10}{agreed.log_correlation:>15.5f}{agreed.median_ratio:>12.4f}{agreed.filters:>9}")
    return 0


def _scales(source: str, original: Network | None, convention: str | None) -> Mapping[str, Tensor]:
    if source.endswith(SUFFIX):
        return Scales.load(Path(source)).means
    network = load_network(source, convention=convention)
    if network.mean_activations:
        return network.mean_activations
    if original is None:
        raise ToolkitError(
            f"{source} does not say what it was normalised by: name the original weights with --original."
        )
    return implied_scales(network, original)
