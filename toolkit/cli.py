"""The command line, ``python -m toolkit COMMAND``; each module in ``commands`` adds what it is named after."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .errors import ToolkitError
from .printing import unbroken_printing, warnings_as_notes
from .process import configure_threads, keep_freed_memory, stopped_like_ctrl_c

COMMANDS = (
    "synthesize",
    "study",
    "normalize",
    "atlas",
    "export",
    "convert",
    "compare",
    "judge",
    "bench",
    "inspect",
    "publish",
    "site",
)

EPILOG = """\
examples:
  python -m toolkit transfer photo.jpg painting.jpg --size 768
  python -m toolkit normalize torchvision/vgg16 ILSVRC2012_img_val --output vgg16.safetensors
  python -m toolkit inspect photo-painting.png
Every command explains itself: python -m toolkit transfer --help
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit status: 0 when done, 2 for something the person can put right, 130 when interrupted.
    """
    configure_threads()  # before PyTorch is imported: its threads read these settings once
    with unbroken_printing(), warnings_as_notes():
        return _run([_at_home(argument) for argument in (sys.argv[1:] if arguments is None else arguments)])


def _at_home(argument: str) -> str:
    """An argument or an option's value with ~ replaced by the home folder, which shells leave to us in places."""
    return re.sub("^(--[^=]+=)?(~.*)", lambda found: (found[1] or "") + os.path.expanduser(found[2]), argument)  # noqa: PTH111


def _run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m toolkit",
        description="Normalise VGG networks so that every filter's mean activation is one, and make images with them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f".commands.{name}", __package__).add_commands(commands)
    chosen = parser.parse_args(arguments)
    keep_freed_memory()
    try:
        with stopped_like_ctrl_c():
            return int(chosen.run(chosen))
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # that nothing closer to it has explained
        where = f"Could not read or write {error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted: nothing was written.", file=sys.stderr)
        return 130
