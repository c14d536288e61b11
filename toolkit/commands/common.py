"""What several commands share: options, and how they save what they made."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..errors import ToolkitError
from ..network import BUNDLED, CONVENTIONS, POOLINGS, Network, Pooling, load_network
from ..normalize import load_normalized

SOURCE_HELP = (
    "vgg11, vgg13, vgg16 or vgg19 (torchvision's ImageNet weights, downloaded once), the name of a file in models/, "
    "or the path of a .safetensors or .pth file"
)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """How to read weights that don't say it themselves."""
    parser.add_argument(
        "--convention",
        metavar="|".join(CONVENTIONS),
        help="how weights from elsewhere want their input, when their file does not say: "
        "torchvision (RGB, [0, 1], mean and deviation removed) or caffe (BGR, 0..255, mean removed)",
    )


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Which network to use, and where to run it."""
    parser.add_argument("--network", default=BUNDLED, help=f"{SOURCE_HELP} (default: {BUNDLED})")
    parser.add_argument("--pooling", choices=POOLINGS, help="for a network that is not normalised (default: average)")
    parser.add_argument(
        "--no-normalization", action="store_true", help="leave a network that is not normalised as it is"
    )
    add_source_options(parser)
    add_device_option(parser)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 … (default: a GPU if there is one)")


def device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU if there is one. Under torchrun each process has a GPU of its own.

    Raises:
        ToolkitError: when there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:  # what PyTorch raises for unknown and for absent devices
        raise ToolkitError(f"This machine has no device {name!r}: use --device cpu, or auto.") from error
    return chosen


def network(arguments: argparse.Namespace) -> Network:
    """The network that was asked for; one that is not normalised is normalised with what is at hand, and it is said."""
    load = _as_it_is if arguments.no_normalization else load_normalized
    loaded, how = load(arguments.network, convention=arguments.convention, pooling=arguments.pooling)
    if how:
        print(f"note: {arguments.network} is not normalised: {how}", file=sys.stderr)
    return loaded


def _as_it_is(source: str, *, convention: str | None, pooling: Pooling | None) -> tuple[Network, str]:
    loaded = load_network(source, convention=convention, pooling=pooling)
    return loaded, "" if loaded.mean_activations else "its losses will be badly scaled"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Being told to stop changes nothing while what was made is being saved: it ends soon anyway."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
