"""``bench``: how fast and how small, beside a textbook baseline in the same run."""

import argparse
import json
from typing import Any

from ..bench import bench_memory, bench_step
from .common import add_network_options, device, network
from .sizes import byte_count


def add_commands(commands: Any) -> None:
    """Adds ``bench``."""
    parser = commands.add_parser(
        "bench",
        help="measure time and memory beside a textbook implementation",
        description="Measures this machine. step: one evaluation of loss and gradient; memory: the peak of a few steps "
        "of L-BFGS. The textbook's version (autograd, float32, one scale) runs in turn with ours: read the ratios.",
    )
    parser.add_argument("what", choices=["step", "memory"])
    parser.add_argument("--size", type=_size, default=(512, 384), metavar="WxH", help="(default: 512x384)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="of a step (default: 7)")
    parser.add_argument("--memory", type=byte_count, default=10**9, metavar="SIZE", help="of the tiles (default: 1GB)")
    parser.add_argument("--json", action="store_true", help="print JSON with stable keys")
    add_network_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measures and prints."""
    width, height = arguments.size
    if arguments.what == "step":
        found = dict(bench_step(network(arguments), height, width, device(arguments.device), arguments.rounds))
    else:
        found = dict(bench_memory(arguments.network, height, width, arguments.memory))
    found = {"network": arguments.network, "width": width, "height": height, **found}
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:<22}{value:.4g}" if isinstance(value, float) else f"{name:<22}{value}")
    return 0


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 512x384") from None
    return width, height
