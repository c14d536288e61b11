"""``publish``: a normalised network, its ONNX files and its card, on the Hugging Face Hub."""

import argparse
import re
from pathlib import Path
from typing import Any

from ..errors import ToolkitError
from ..files import check_outputs, written_atomically
from ..publish import card, upload, write_bundle
from ..publish.card import FILES
from .common import SOURCE_HELP

#: What an earlier run may have left in the folder.
WRITTEN = {"README.md", *FILES}


def add_commands(commands: Any) -> None:
    """Adds ``publish``."""
    parser = commands.add_parser(
        "publish",
        help="put a normalised network on the Hugging Face Hub",
        description="Writes the network, its ONNX files, its mean activations and a card filled from its provenance "
        "into a folder, checks them, and uploads the folder with the token of `hf auth login` or HF_TOKEN. Everybody "
        "may then use it as hf://OWNER/NAME.",
    )
    parser.add_argument("source", help=SOURCE_HELP)
    parser.add_argument("repository", metavar="OWNER/NAME", help="where to publish it")
    parser.add_argument(
        "--license", required=True, metavar="NAME", help="of the weights, by the hub's names, such as cc-by-4.0"
    )
    parser.add_argument("--base-model", metavar="OWNER/NAME", help="Hub repository of the original weights")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--dry-run", action="store_true", help="write the folder only, to look at before")
    parser.add_argument(
        "--output", "-o", type=Path, metavar="FOLDER", help="the folder to write (default: the name in OWNER/NAME)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the folder and uploads it."""
    name = arguments.repository.rpartition("/")[2]
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", arguments.repository, re.ASCII):
        raise ToolkitError(f"{arguments.repository} is no name of a repository: write OWNER/NAME.")
    if not arguments.license.strip():
        raise ToolkitError("The --license is empty: name that of the weights, such as cc-by-4.0.")
    folder = arguments.output or Path(name)
    readme = folder / "README.md"
    check_outputs([readme])
    if others := sorted(path.name for path in folder.iterdir() if path.name not in WRITTEN):
        raise ToolkitError(f"{folder} holds other files ({others[0]}): name an empty one with --output.")
    bundle = write_bundle(arguments.source, folder)
    with written_atomically(readme) as temporary:
        text = card(bundle, arguments.repository, arguments.license, arguments.base_model)
        temporary.write_text(text, encoding="utf-8")
    print(f"written to {folder}: {', '.join([readme.name, *bundle.files])}")
    if not arguments.dry_run:
        print(f"published at {upload(folder, arguments.repository, arguments.private)}")
    return 0
