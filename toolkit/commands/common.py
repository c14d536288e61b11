"""What several commands share: options for networks, devices and sizes, and saving undisturbed."""

import argparse
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ImageColor

from ..errors import ToolkitWarning
from ..network import CONVENTIONS, DEFAULT_NETWORK, POOLINGS, Network, load_network, model_folders
from ..normalize import load_normalized
from ..process import STOPS

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}

SOURCE_HELP = (
    "vgg19 (the paper's network, which comes with the toolkit), vgg19-small, or a file of your own in "
    f"{str(model_folders()[0]).replace('%', '%%')} by its name; "
    "torchvision/vgg11 … torchvision/vgg19, torchvision/vgg16_bn …, or hf://OWNER/NAME on the Hugging Face Hub "
    "(downloaded once); or the path of a .safetensors or .pth file"
)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """How to read weights whose file does not say it."""
    parser.add_argument(
        "--convention",
        choices=tuple(CONVENTIONS),
        help="input of weights whose file does not say it: "
        "torchvision (RGB in [0, 1], mean and deviation removed) or caffe (BGR in 0..255, mean removed)",
    )


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Which network to use, and on which device."""
    parser.add_argument("--network", default=DEFAULT_NETWORK, help=f"{SOURCE_HELP} (default: {DEFAULT_NETWORK})")
    parser.add_argument("--pooling", choices=POOLINGS, help="average or max pooling (default: average)")
    parser.add_argument("--original", action="store_true", help="use the weights as trained, not normalised")
    add_source_options(parser)
    add_device_option(parser)


def add_output_option(parser: argparse.ArgumentParser, help: str) -> None:
    """Which file to write."""
    parser.add_argument("--output", "-o", type=Path, required=True, metavar="FILE", help=help)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps, xpu (default: a GPU if there is one)")


def byte_count(text: str) -> int:
    """``4GB``, ``600 MB`` or a number of bytes, as the type of an option."""
    plain = text.replace(" ", "").upper()
    number = plain.rstrip("KMGB")
    try:
        size = int(float(number) * UNITS[plain[len(number) :]])
    except (ValueError, KeyError, OverflowError):
        size = 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 4GB or 600MB")
    return size


def positive(text: str) -> int:
    """A whole number above zero, as the type of an option."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of one or more")
    return int(text)


def not_negative(text: str) -> int:
    """A whole number, zero or more, as the type of an option."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of zero or more")
    return int(text)


def dots(text: str) -> float:
    """A number of dots per inch, as the type of an option."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of dots per inch such as 300")
    return number


def colour(text: str) -> str:
    """The name or ``#rrggbb`` of a colour, as the type of an option."""
    try:
        ImageColor.getrgb(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no colour such as grey or #808080") from None
    return text


def network(arguments: argparse.Namespace) -> Network:
    """The network that was asked for."""
    options = {"convention": arguments.convention, "pooling": arguments.pooling}
    if not arguments.original:
        return load_normalized(arguments.network, **options)
    note = f"{arguments.network} is used as it was trained, so its losses will be badly scaled."
    warnings.warn(note, ToolkitWarning, stacklevel=2)
    return load_network(arguments.network, **options, normalized=False)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignores interruptions while a result is being saved."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *STOPS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
