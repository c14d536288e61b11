"""The page and its command line: ``python -m demo``."""

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

if not __package__:  # run as a file, as Hugging Face Spaces do
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from demo.components.memory import Memory
from demo.context import Context
from demo.devices import slots
from demo.endpoints import session
from demo.examples import EXAMPLES, content_files, style_files
from demo.gradio_internals import remove_from_queue, tools_for_assistants
from demo.hosting import AssistantsLogin, check_address, folder_for_files, pass_proxies_by
from demo.jobs import LOG, Jobs
from demo.languages import LANGUAGES, names
from demo.notes import notes_passed_on
from demo.on_device import on_device, redirected
from demo.settings import Settings, read_settings
from demo.tabs.amalgamate import amalgamate_tab
from demo.tabs.clip import clip_tab
from demo.tabs.network import network_tab
from demo.tabs.reconstruct import reconstruct_tab
from demo.tabs.study import study_tab
from demo.tabs.transfer import TransferTab
from demo.theme import LOOK
from demo.visits import CLEANING
from toolkit.atlas import Atlas
from toolkit.errors import ToolkitError
from toolkit.network import Network, find_network, normalized_for
from toolkit.normalize import load_normalized
from toolkit.printing import unbroken_printing, warnings_as_notes
from toolkit.process import keep_freed_memory, stopped_like_ctrl_c

INTRODUCTION = """\
# Paint a photograph in any style
Choose a photograph and a style, and press **Paint**. The photograph changes before your eyes, until a neural network
finds the style of the other image in it ([Gatys, Ecker & Bethge 2016](https://doi.org/10.1109/CVPR.2016.265)).
"""

OFFER = """\
This server does the painting. You can also [paint on your own device]({address}): no queue, and no picture leaves it.
"""

#: Shown above the login. A browser may keep no cookie of a page in a frame, and Gradio then says nothing.
LOGIN = "If this form comes back though name and password are right, open this page in a tab of its own: your browser \
keeps no login for a page in a frame of another site."

#: Most sessions that Gradio remembers, the last ones: it forgets none by itself whose visitor has left.
SESSIONS = 200

#: What painting clips needs: the toolkit's extra ``video``.
PAINTS_CLIPS = ("av", "cv2")

#: How the names of exported graphs end. ``vgg19-*`` would match those of vgg19-small too.
EXPORTS = ("features", "step")


def page(context: Context) -> gr.Blocks:
    """The whole page, ready to launch."""
    context = replace(context)  # one page, one context
    keep, address = context.settings.keep, context.device_page
    with gr.Blocks(
        title="Paint with a normalised VGG", analytics_enabled=False, delete_cache=(min(keep, CLEANING), keep)
    ) as blocks:
        gr.Markdown(INTRODUCTION + (OFFER.format(address=address) if address else ""))
        with gr.Tabs() as tabs:
            with gr.Tab("Transfer", id="transfer"):
                transfer = TransferTab(context, tabs)
            if all(map(find_spec, PAINTS_CLIPS)):
                with gr.Tab("Clip", id="clip"):
                    clip_tab(context)
            with gr.Tab("Reconstruct", id="reconstruct"):
                reconstruct_tab(context)
            with gr.Tab("Amalgamate", id="amalgamate"):
                amalgamate_tab(context)
            with gr.Tab("Study", id="study"):
                study_tab(context, transfer)
            with gr.Tab("Network", id="network") as network:
                network_tab(context, network)

        async def leave(request: gr.Request) -> None:
            context.visits.leave(session(request))
            context.jobs.stop(session(request))
            await remove_from_queue(blocks, session(request))

        Memory(context, blocks, transfer.sharing)
        blocks.unload(leave)
    return blocks


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves the page until it is interrupted.

    Returns:
        The exit status: 0, or 2 when something that the settings name cannot be used.
    """
    settings = read_settings(arguments)
    keep_freed_memory()
    try:
        with unbroken_printing(), warnings_as_notes(), notes_passed_on(), folder_for_files(), stopped_like_ctrl_c():
            check_address(settings.host, settings.port)
            context = _context(settings)
            own_device = [] if settings.on_device == "off" else [on_device(context.networks, settings.runtime)]
            pass_proxies_by(settings.host)
            _serve(settings, context, own_device)
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _serve(settings: Settings, context: Context, own_device: Sequence[BaseRoute]) -> None:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    logging.basicConfig(format="%(message)s")
    LOG.setLevel(logging.INFO)
    began, jobs = time.monotonic(), context.jobs

    def health(_: Request) -> JSONResponse:
        seconds = round(time.monotonic() - began)
        return JSONResponse({"status": "ok", "running": jobs.running, "slots": jobs.slots, "seconds": seconds})

    first = [redirected(settings.root_path or "")] if settings.on_device == "default" else []
    if settings.mcp:
        tools_for_assistants(f"http://{settings.host}:{settings.port}/", settings.auth)
    blocks = page(context)
    blocks.queue(max_size=settings.max_queue).launch(
        auth=settings.auth,
        auth_message=LOGIN if settings.auth else None,
        server_name=settings.host,
        server_port=settings.port,
        root_path=settings.root_path,
        share=settings.share,
        inbrowser=settings.open,
        mcp_server=settings.mcp,
        enable_monitoring=settings.monitoring,
        allowed_paths=[str(EXAMPLES)],
        max_file_size=settings.max_upload,
        state_session_capacity=SESSIONS,
        app_kwargs={
            "routes": [Route("/health", health), LANGUAGES, *own_device],
            "middleware": [*first, *([Middleware(AssistantsLogin, settings.auth)] if settings.auth else [])],
        },
        i18n=names(blocks),
        ssr_mode=False,  # a server in front of this one would not know our routes
        **LOOK,
        footer_links=["api"],
        run_history=False,  # visitors' pictures would stay in the browser, after the page's own strip is cleared
    )


def _context(settings: Settings) -> Context:
    """Loads what the settings name.

    Raises:
        ToolkitError: when a network, an atlas or a device cannot be used.
    """
    jobs = Jobs(slots(settings.device, settings.jobs), settings.max_seconds)
    networks: dict[str, Network] = {}
    files = {}
    for source in settings.network:
        name = Path(source).stem
        if name in networks:
            raise ToolkitError(f"Two networks are named {name}: rename one of the files.")
        networks[name] = load_normalized(source)
        if normalized_for(find_network(source)):
            files[name] = files_of(find_network(source))
    first = next(iter(networks.values()))
    atlas = Atlas.read(Path(settings.atlas).expanduser(), first) if settings.atlas else None
    return Context(networks, jobs, settings, content_files(), style_files(), atlas, files)


def files_of(network: Path) -> list[Path]:
    """A network's file, and the files exported from it in the same folder."""
    exported = (network.with_name(f"{network.stem}-{part}.onnx") for part in EXPORTS)
    return [network, *(path for path in exported if path.exists())]


if __name__ == "__main__":
    sys.exit(main())
