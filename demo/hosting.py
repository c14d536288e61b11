"""What the page needs of its machine: an address, a folder for files, no proxy between; and who may use its tools."""

import base64
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from toolkit.errors import ToolkitError

#: Read by Gradio for where it keeps visitors' files. Its own default is shared by all users of the machine.
FOLDER = "GRADIO_TEMP_DIR"


def check_address(host: str, port: int) -> None:
    """Makes sure that the page can listen there.

    Raises:
        ToolkitError: when it can't.
    """
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        reason = str(error.strerror or error).partition(" (while")[0]
        raise ToolkitError(f"Can't listen on {host}:{port} ({reason}): choose another --port or --host.") from error


def pass_proxies_by(host: str) -> None:
    """Has this process reach its own page directly, whatever proxy the environment names."""
    named = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    direct = ",".join(filter(None, (named, "localhost", "127.0.0.1", "::1", host)))
    os.environ |= {"NO_PROXY": direct, "no_proxy": direct}


@contextmanager
def folder_for_files() -> Iterator[None]:
    """A folder for visitors' files that nobody else on the machine can read, deleted at the end; or the host's own.

    Raises:
        ToolkitError: when it can't be made or written.
    """
    try:
        where = Path(os.environ.get(FOLDER) or tempfile.gettempdir())
        where.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="normalized-vgg-", dir=where, ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise ToolkitError(f"Can't keep files in {where} ({reason}): set {FOLDER} to a folder of yours.") from error
    before = os.environ.get(FOLDER)
    with folder as path:
        os.environ[FOLDER] = path
        try:
            yield
        finally:
            del os.environ[FOLDER]
            if before is not None:
                os.environ[FOLDER] = before


class AssistantsLogin:
    """Asks assistants for name and password by HTTP's own means, as Gradio's login is for browsers.

    Args:
        app: what serves the page.
        login: name and password.
    """

    def __init__(self, app: ASGIApp, login: tuple[str, str]) -> None:
        self._app = app
        self._header = b"Basic " + base64.b64encode(":".join(login).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses who asks for the tools without them; passes everything else on."""
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if "gradio_api/mcp" in scope.get("path", "") and not secrets.compare_digest(given, self._header):
            refusal = PlainTextResponse(
                "Send the page's name and password as HTTP Basic.", 401, {"WWW-Authenticate": "Basic"}
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)
