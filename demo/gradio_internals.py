"""What the page uses of Gradio that Gradio does not document. ``tests/demo/test_gradio_internals.py`` watches it."""

from typing import Any

import gradio as gr
from gradio_client import Client
from PIL import Image

from toolkit.errors import ToolkitError


async def remove_from_queue(blocks: gr.Blocks, session: str) -> None:
    """Removes all of a session's waiting events. Undocumented: Gradio itself would still run them."""
    await blocks._queue.clean_events(session_hash=session)


def as_layer(paint: Image.Image, side: int) -> Image.Image:
    """Paint as a layer of a ``gr.ImageEditor`` with a square canvas of that side.

    Undocumented: the editor puts its picture into the canvas' corner, but a smaller layer into the canvas' middle.
    """
    layer = Image.new("RGBA", (side, side))
    layer.paste(paint)
    return layer


def tools_for_assistants(address: str, login: tuple[str, str] | None) -> None:
    """Has the tools of pages that are launched from now on log in, and give the parts of an answer one by one.

    Undocumented: Gradio's server of tools calls the page as a client, without a login, and may take all parts for one.

    Args:
        address: of the page.
        login: name and password.

    Raises:
        ToolkitError: when gradio's extra is not installed.
    """
    try:
        import gradio.mcp as tools
    except ImportError as error:
        raise ToolkitError('--mcp needs an extra: pip install "gradio[mcp]".') from error

    class Server(tools.GradioMCPServer):
        def _get_or_create_client(self) -> Client:
            if login and self._client_instance is None:
                header = {"x-gradio-user": "mcp"}
                self._client_instance = Client(
                    self.local_url or address, auth=login, headers=header, download_files=False, verbose=False
                )
            return super()._get_or_create_client()

        def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
            parts = data[0] if len(data) == 1 and isinstance(data[0], list | tuple) else data
            return super().postprocess_output_data([part for part in parts if part is not None], root_url)

    tools.GradioMCPServer = Server  # type: ignore[misc]
