"""``judge``: how much of the content and of the style a picture has lost."""

import argparse
import json
from typing import Any

from ..device import find_device
from ..pictures.io import open_image
from ..studies.judge import judge
from .common import add_network_options, network


def add_commands(commands: Any) -> None:
    """Adds ``judge``."""
    parser = commands.add_parser(
        "judge",
        help="say how much of its content and style images a picture has lost",
        description="Compares the features of a picture with those of the content and the style image that it was made "
        "from, layer by layer. Prints its content loss, as a share of the style image's, and its style loss, as a "
        "share of the content image's. Less is better.",
    )
    parser.add_argument("picture", help="the picture to judge")
    parser.add_argument("--content", required=True, metavar="FILE", help="the content image that it was made from")
    parser.add_argument("--style", required=True, metavar="FILE", help="the style image that it was made from")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_network_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the shares."""
    device = find_device(arguments.device)
    picture, content, style = (
        open_image(name).to(device) for name in (arguments.picture, arguments.content, arguments.style)
    )
    found = judge(network(arguments).to(device), picture, content, style)
    if arguments.json:
        print(json.dumps(found._asdict(), indent=2))
        return 0
    print("content loss, as a share of the style image's")
    for name, share in found.content.items():
        print(f"  {name:<8}{share:8.2%}")
    print("style loss, as a share of the content image's")
    for name, share in (found.style | {"all": found.style_of_all}).items():
        print(f"  {name:<8}{share:8.2%}")
    return 0
