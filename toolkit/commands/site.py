"""``site``: a static site that paints in the visitor's own browser."""

import argparse
from pathlib import Path
from typing import Any

from ..errors import ToolkitError
from ..export.site import write_site
from ..network import DEFAULT_NETWORK
from ..normalize import load_normalized
from .common import SOURCE_HELP

#: The page is the demo's. No module of it is needed, so it is found as a folder beside the toolkit, not imported.
DEMO = Path(__file__).resolve().parents[2] / "demo"


def add_commands(commands: Any) -> None:
    """Adds ``site``."""
    parser = commands.add_parser(
        "site",
        help="write a static site that paints on the visitor's own device",
        description="Write a page that paints in the visitor's browser, with its networks and examples. Any static "
        "host serves the folder: no server computes, and no picture leaves the visitor's device. Try it with "
        "python -m http.server --directory FOLDER.",
    )
    parser.add_argument("folder", type=Path, help="folder to write into")
    parser.add_argument(
        "--network",
        nargs="+",
        default=["vgg19-small", DEFAULT_NETWORK],
        metavar="NETWORK",
        help=f"networks to offer, the first as the default: {SOURCE_HELP} (default: vgg19-small {DEFAULT_NETWORK})",
    )
    parser.add_argument(
        "--runtime",
        type=Path,
        metavar="FOLDER",
        help="copy onnxruntime-web from this folder, where npm pack has put it, so that the page asks nothing from "
        "elsewhere (default: the page fetches it from a CDN and checks its hash)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the site, and says how large it is."""
    if not (DEMO / "browser").is_dir():
        raise ToolkitError("The page's files are not installed: install the project again.")
    if arguments.folder.is_file():
        raise ToolkitError(f"{arguments.folder} is a file: name a folder.")
    if (arguments.folder / "index.html").exists() and not (arguments.folder / "preconditioner.js").exists():
        raise ToolkitError(f"{arguments.folder} holds another page: name an empty folder.")
    named = {Path(source).stem: source for source in arguments.network}
    if len(named) < len(arguments.network):
        raise ToolkitError("Two of the networks have the same name, by which visitors choose: rename a file.")
    networks = {name: load_normalized(source) for name, source in named.items()}
    styles = sorted((DEMO / "examples").glob("*.jpg"))
    write_site(arguments.folder, DEMO / "browser", styles, networks, arguments.runtime)
    size = sum(path.stat().st_size for path in arguments.folder.rglob("*") if path.is_file())
    print(f"written to {arguments.folder}, {size / 1e6:.1f} MB")
    print(f"try it: python -m http.server --directory {arguments.folder}")
    return 0
