"""The page that paints on the visitor's own device: ``browser`` with its networks, served beside the Gradio page."""

import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import URL
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from toolkit.export.site import ISOLATION, write_site
from toolkit.network import Network

from .examples import style_files

#: Below the page's own address.
PATH = "/on-device"

#: What an address ends in that asks for the Gradio page where the other one is the default.
HERE = "?here"


def on_device(networks: Mapping[str, Network], runtime: str | None = None) -> Route:
    """The page with these networks, the smallest first.

    Args:
        networks: normalised ones by name.
        runtime: a folder with the files of onnxruntime-web; the visitor's browser fetches them from a CDN without.

    Raises:
        ToolkitError: when the runtime's files are missing, or others than those that the project was tested with.
    """
    folder = tempfile.TemporaryDirectory(prefix="on-device-")
    write_site(
        Path(folder.name) / PATH.removeprefix("/"),
        Path(__file__).parent / "browser",
        map(Path, style_files()),
        dict(sorted(networks.items(), key=lambda item: _parameters(item[1]))),
        Path(runtime) if runtime else None,
        server=f"../{HERE}",
        check=False,
    )
    # A mount would expect the root path in every request's path, which most proxies remove.
    site = _Site(directory=folder.name, html=True)
    weakref.finalize(site, folder.cleanup)
    return Route(f"{PATH}/{{path:path}}", site, middleware=[Middleware(GZipMiddleware, compresslevel=5)])


def redirected(root_path: str) -> Middleware:
    """Sends whoever asks for the Gradio page to the other one, unless the address says something, as ``HERE``."""
    return Middleware(_Redirect, f"{root_path}{PATH}/")


class _Site(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(ISOLATION)  # it would keep the Gradio page from being embedded
        return response


class _Redirect:
    def __init__(self, app: ASGIApp, address: str) -> None:
        self._app, self._address = app, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["path"] == "/" and not scope["query_string"]:
            app = RedirectResponse(URL(self._address))
        await app(scope, receive, send)


def _parameters(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
