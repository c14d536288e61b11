"""``inspect``: what a network file or a picture holds."""

import argparse
import json
from pathlib import Path
from typing import Any

from ..network import find_network, fingerprint, load_network, normalized_for
from ..pictures.decode import SUFFIXES
from ..pictures.formats import read_recipe
from .common import add_source_options


def add_commands(commands: Any) -> None:
    """Adds ``inspect``."""
    parser = commands.add_parser(
        "inspect",
        help="say what a network file or a picture of this toolkit holds",
        description="Prints a network's architecture, pooling, preprocessing and provenance, or a picture's recipe.",
    )
    parser.add_argument("file", help="a network file or name, or a picture made by this toolkit")
    add_source_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints what the file holds."""
    if Path(arguments.file).suffix.lower() in SUFFIXES:
        print(read_recipe(arguments.file))
        return 0
    network = load_network(arguments.file, convention=arguments.convention)
    preprocessing = network.preprocessing
    architecture = network.architecture
    filters = sum(outputs for _, outputs in architecture.convolutions.values())
    by_file = normalized_for(find_network(arguments.file))
    poolings = f"for {' and '.join(by_file)} pooling" if by_file else "no"
    end = f" to {architecture.last}" if architecture.last else ""
    print(f"architecture   {architecture.name}{end}, {' '.join(map(str, architecture.widths))} filters")
    print(f"preprocessing  {preprocessing.channels} x {preprocessing.range:g}", end="")
    print(f", minus {preprocessing.mean}, over {preprocessing.std}")
    print(f"weights        {'8 bits, 256 values a layer' if network.codebooks else 'one number each'}")
    print(f"pooling        {network.pooling}")
    print(f"normalised     {poolings}")
    for name, mean in network.mean_activations.items():
        print(f"  {name}: mean activations {mean.min():.3g} to {mean.max():.3g} before, 1 now")
    print(f"parameters     {sum(p.numel() for p in network.parameters()):,} in {filters:,} filters")
    print(f"fingerprint    {fingerprint(network)}")
    print(f"provenance     {json.dumps(network.provenance, indent=2)}")
    return 0
