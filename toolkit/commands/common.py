"""What several commands share: options for networks, devices and sizes, and saving undisturbed."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..network import BUNDLED, CONVENTIONS, POOLINGS, Network, Pooling, load_network
from ..normalize import load_normalized

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}

SOURCE_HELP = (
    "vgg11, vgg13, vgg16 or vgg19 (torchvision's ImageNet weights, downloaded once), the name of a file in models/, "
    "or the path of a .safetensors or .pth file"
)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """How to read weights whose file does not say it."""
    parser.add_argument(
        "--convention",
        metavar="|".join(CONVENTIONS),
        help="input of weights whose file does not say it: "
        "torchvision (RGB in [0, 1], mean and deviation removed) or caffe (BGR in 0..255, mean removed)",
    )


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Which network to use, and on which device."""
    parser.add_argument("--network", default=BUNDLED, help=f"{SOURCE_HELP} (default: {BUNDLED})")
    parser.add_argument("--pooling", choices=POOLINGS, help="for a network that is not normalised (default: average)")
    parser.add_argument("--original", action="store_true", help="use the weights as trained, not normalised")
    add_source_options(parser)
    add_device_option(parser)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 … (default: a GPU if there is one)")


def byte_count(text: str) -> int:
    """``4GB``, ``600 MB`` or a number of bytes, as the type of an option."""
    plain = text.replace(" ", "").upper()
    number = plain.rstrip("KMGB")
    try:
        return max(1, int(float(number) * UNITS[plain[len(number) :]]))
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 4GB or 600MB") from None


def network(arguments: argparse.Namespace) -> Network:
    """The network that was asked for; one that is not normalised is normalised with what is at hand, and it is said."""
    load = _as_it_is if arguments.original else load_normalized
    loaded, how = load(arguments.network, convention=arguments.convention, pooling=arguments.pooling)
    if how:
        print(f"note: {arguments.network} is not normalised: {how}", file=sys.stderr)
    return loaded


def _as_it_is(source: str, *, convention: str | None, pooling: Pooling | None) -> tuple[Network, str]:
    loaded = load_network(source, convention=convention, pooling=pooling)
    return loaded, "" if loaded.mean_activations else "its losses will be badly scaled"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignores interruptions while a result is being saved."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
