"""The page and its command line: ``python -m demo``."""

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a file, as Hugging Face's Spaces do
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gradio as gr
import torch
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.context import Studio
from demo.examples import content_files, style_files
from demo.jobs import LOG, Jobs
from demo.settings import Limits, settings
from demo.tabs.amalgamate import amalgamate_tab
from demo.tabs.network import network_tab
from demo.tabs.reconstruct import reconstruct_tab
from demo.tabs.study import study_tab
from demo.tabs.transfer import transfer_tab
from demo.validation import GuardedBlocks
from toolkit.atlas import Atlas
from toolkit.device import find_device
from toolkit.errors import ToolkitError
from toolkit.network import find_network
from toolkit.normalize import load_normalized

INTRODUCTION = """\
# Paint with a normalised VGG
A photograph, repainted in the style of another picture by optimising its pixels on a neural network
([Gatys, Ecker & Bethge 2016](https://doi.org/10.1109/CVPR.2016.265)), and shown while it happens.
"""

#: No font is fetched from anywhere.
FONT = ["system-ui", "sans-serif"]

TABS = (transfer_tab, reconstruct_tab, amalgamate_tab, study_tab, network_tab)


def page(studio: Studio, keep: int = 3600) -> gr.Blocks:
    """The whole page, ready to launch; visitors' pictures are kept for so many seconds."""
    with GuardedBlocks(
        title="Paint with a normalised VGG", analytics_enabled=False, delete_cache=(min(keep, 600), keep)
    ) as blocks:
        gr.Markdown(INTRODUCTION)
        for lay_out in TABS:
            lay_out(studio)

        async def leave(request: gr.Request) -> None:
            session = str(request.session_hash)
            studio.jobs.stop(session)
            await blocks._queue.clean_events(session_hash=session)  # what waits is not to run either

        blocks.unload(leave)
    return blocks


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves the page until it is interrupted.

    Returns:
        The exit status: 0, or 2 when a network or a device can't be had.
    """
    chosen = settings(arguments)
    try:
        devices = [str(device) for name in chosen.device for device in _devices(name)] * chosen.jobs
        networks, files = {}, {}
        for name in chosen.network:
            if Path(name).stem in networks:
                raise ToolkitError(f"Two networks are named {Path(name).stem}: rename the file of one.")
            network = networks[Path(name).stem] = load_normalized(name)
            files[Path(name).stem] = [] if network.note else _files(find_network(name))
            if network.note:
                print(f"note: {network.note}", file=sys.stderr)
        atlas = Atlas.read(Path(chosen.atlas), next(iter(networks.values()))) if chosen.atlas else None
        limits = Limits(chosen.max_size, chosen.max_evaluations, chosen.max_seconds)
        jobs = Jobs(devices, limits.seconds)
        studio = Studio(networks, jobs, limits, content_files(), style_files(), atlas, files)
        blocks = page(studio, chosen.keep)
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    logging.basicConfig(format="%(message)s")
    LOG.setLevel(logging.INFO)
    if set(devices) == {"cpu"}:
        torch.set_num_threads(max(1, torch.get_num_threads() // chosen.jobs))
    began = time.monotonic()

    def health(_: Request) -> JSONResponse:
        return JSONResponse(
            {"status": "ok", "running": jobs.running, "places": jobs.places, "seconds": round(time.monotonic() - began)}
        )

    blocks.queue(max_size=chosen.max_queue).launch(
        server_name=chosen.host,
        server_port=chosen.port,
        root_path=chosen.root_path,
        auth=chosen.auth,
        share=chosen.share,
        inbrowser=chosen.open,
        mcp_server=chosen.mcp,
        max_file_size=chosen.max_upload,
        app_kwargs={"routes": [Route("/health", health)]},
        theme=gr.themes.Soft(font=FONT),
        footer_links=["api"],
    )
    return 0


def _files(network: Path) -> list[Path]:
    """A network's file, and what was exported from it beside it."""
    return [network, *sorted(network.parent.glob(f"{network.stem}-*.onnx"))]


def _devices(name: str) -> list[torch.device]:
    if name == "auto" and torch.cuda.device_count() > 1:
        return [torch.device("cuda", n) for n in range(torch.cuda.device_count())]
    return [find_device(name)]


if __name__ == "__main__":
    sys.exit(main())
