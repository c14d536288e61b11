"""``inspect``: what one of our files is, a network or a picture."""

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import ToolkitError
from ..images.io import read_recipe
from ..network import fingerprint, load_network
from .common import add_source_options


def add_commands(commands: Any) -> None:
    """Adds ``inspect``."""
    parser = commands.add_parser(
        "inspect",
        help="tell what a network file or a picture of ours is",
        description="Prints a network's architecture, pooling, preprocessing and provenance, or a picture's recipe.",
    )
    parser.add_argument("file", help="a network file or name, or a PNG made by this toolkit")
    add_source_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints what the file is."""
    if _starts_like_a_picture(Path(arguments.file)):
        print(read_recipe(arguments.file))
        return 0
    network = load_network(arguments.file, convention=arguments.convention)
    preprocessing = network.preprocessing
    filters = sum(outputs for _, outputs in network.architecture.convolutions.values())
    print(f"architecture   {network.architecture.name}, {' '.join(map(str, network.architecture.widths))} filters")
    print(f"pooling        {network.pooling}")
    print(f"preprocessing  {preprocessing.channels} x {preprocessing.range:g}", end="")
    print(f", minus {preprocessing.mean}, over {preprocessing.std}")
    print(f"normalised     {'yes' if network.mean_activations else 'no'}")
    for name, mean in network.mean_activations.items():
        print(f"  {name}: mean activations {mean.min():.3g} to {mean.max():.3g} before, 1 now")
    print(f"parameters     {sum(p.numel() for p in network.parameters()):,} in {filters:,} filters")
    print(f"fingerprint    {fingerprint(network)}")
    print(f"provenance     {json.dumps(network.provenance, indent=2)}")
    return 0


def _starts_like_a_picture(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"\x89PNG", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1", b"RIFF", b"GIF8")
    except OSError as error:
        raise ToolkitError(f"Could not read {path}: {error.strerror}.") from error
