"""The page and its command line: ``python -m demo``."""

import argparse
import os
import sys
from collections.abc import Sequence

import gradio as gr
import torch

from toolkit.commands.common import device as find_device
from toolkit.errors import ToolkitError
from toolkit.network import BUNDLED, Network
from toolkit.normalize import load_normalized

from .jobs import Jobs
from .transfer import transfer_tab

#: Seconds that visitors' pictures stay on the server.
KEPT_SECONDS = 3600

INTRODUCTION = """\
# Paint with a normalised VGG
A photograph, repainted in the style of another picture by optimising its pixels
([Gatys, Ecker & Bethge 2016](https://doi.org/10.1109/CVPR.2016.265)), and shown while it happens.
"""


def page(network: Network, device: str) -> gr.Blocks:
    """The whole page, ready to launch."""
    jobs = Jobs()
    with gr.Blocks(
        title="Paint with a normalised VGG", analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS)
    ) as blocks:
        gr.Markdown(INTRODUCTION)
        transfer_tab(network, device, jobs)

        def leave(request: gr.Request) -> None:
            jobs.stop(str(request.session_hash))

        blocks.unload(leave)
    return blocks


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves the page until it is interrupted.

    Returns:
        The exit status: 0, or 2 when the network can't be had.
    """
    parser = argparse.ArgumentParser(prog="python -m demo", description="Serve the page.")
    parser.add_argument("--network", default=BUNDLED, help=f"a normalised network (default: {BUNDLED})")
    parser.add_argument("--device", default="auto", help="cpu, cuda … (default: a GPU if there is one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="(default: 7860)")
    parser.add_argument("--share", action="store_true", help="also give it a public link for a week, through Gradio")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    chosen = parser.parse_args(arguments)
    try:
        network, how = load_normalized(chosen.network)
        device = find_device(chosen.device)
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if how:
        print(f"note: {chosen.network} is not normalised: {how}", file=sys.stderr)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    torch.set_grad_enabled(False)
    page(network, str(device)).launch(
        server_name=chosen.host,
        server_port=chosen.port,
        share=chosen.share,
        inbrowser=chosen.open,
        theme=gr.themes.Soft(),
        footer_links=["api"],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
