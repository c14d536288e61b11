"""What the page uses of Gradio that Gradio does not document. ``tests/demo/test_gradio_internals.py`` watches it."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr
from gradio.context import Context
from gradio_client import Client
from PIL import Image

from toolkit.errors import ToolkitError

#: What a visitor sends one file with.
Field = TypeVar("Field", gr.Image, gr.File)

#: Of a table, as much as an assistant is told.
ROWS = 20


class CheckedBlocks(gr.Blocks):
    """Blocks that check what visitors send before Gradio handles it, and answer every fault with a sentence.

    Args:
        check: takes a component and the value sent for it; returns the value to use, or raises ``gr.Error``.
        explain: takes an endpoint's name and an error that nobody foresaw; returns the error to show.
        options: passed to ``gr.Blocks``.
    """

    def __init__(
        self, check: Callable[[Any, Any], Any], explain: Callable[[str, Exception], gr.Error], **options: Any
    ) -> None:
        super().__init__(**options)
        self.check, self.explain = check, explain

    # Undocumented: every request, of a browser or of a script, comes through this method.
    async def process_api(
        self, block_fn: Any, inputs: list[Any], state: Any = None, *more: Any, **named: Any
    ) -> dict[str, Any]:
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        try:
            fields = [_of_session(field, state) for field in function.inputs]
            checked = [self.check(field, value) for field, value in zip(fields, inputs, strict=True)]
            return await super().process_api(block_fn, checked, state, *more, **named)
        except gr.Error:
            raise
        except Exception as error:
            raise self.explain(str(function.api_name), error) from error


def _of_session(field: Any, state: Any) -> Any:
    """The component as this visitor sees it.

    Undocumented: ``state`` keeps updated components by ``_id``. They are made anew, without what ``as_path`` replaced.
    """
    seen = state[field._id] if state and field._id in state else field
    if "preprocess" in vars(field):
        seen.preprocess = field.preprocess
    return seen


async def remove_from_queue(blocks: gr.Blocks, session: str) -> None:
    """Removes all of a session's waiting events. Undocumented: Gradio itself would still run them."""
    await blocks._queue.clean_events(session_hash=session)


def on_load(*arguments: Any, **options: Any) -> Any:
    """An event of the page itself, from inside a tab. Undocumented: which blocks are being built."""
    blocks = Context.root_block
    assert blocks is not None, "there are no blocks"
    return blocks.load(*arguments, **options)


def as_path(field: Field) -> Field:
    """Passes the uploaded file's path on, unopened.

    Undocumented: ``preprocess`` gets the file's data. Gradio's own opens the file, with errors of its own.
    """
    field.preprocess = lambda payload: _path(payload)  # type: ignore[method-assign]
    return field


def as_paths(gallery: gr.Gallery) -> gr.Gallery:
    """The same for the list of a gallery's images."""
    gallery.preprocess = lambda payload: [_path(item.image) for item in payload.root] if payload else []  # type: ignore
    return gallery


def _path(payload: Any) -> str | None:
    if payload is None:
        return None
    if payload.path is None:
        raise gr.Error("Send images as files.", print_exception=False)
    return str(payload.path)


def as_layer(paint: Image.Image, side: int) -> Image.Image:
    """Paint as a layer of a ``gr.ImageEditor`` with a square canvas of that side.

    Undocumented: the editor puts its picture into the canvas' corner, but a smaller layer into the canvas' middle.
    """
    layer = Image.new("RGBA", (side, side))
    layer.paste(paint)
    return layer


def declare_files(value: Any) -> Any:
    """Marks every path in a value as a file, so that Gradio accepts only paths of uploaded files.

    Undocumented: Gradio trusts a path that lacks this mark.
    """
    match value:
        case list():
            return [declare_files(each) for each in value]
        case dict():
            mark = {"meta": {"_type": "gradio.FileData"}} if "path" in value else {}
            return {key: declare_files(each) for key, each in value.items()} | mark
        case _:
            return value


def tools_for_assistants(address: str, login: tuple[str, str] | None) -> None:
    """Has the tools of pages that are launched from now on log in, and answer with what an assistant can read.

    Undocumented: Gradio's server of tools calls the page as a client, without a login, and answers with all data.

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
            whole = super().postprocess_output_data
            return readable_answer(data, lambda piece: whole([piece], root_url))

    tools.GradioMCPServer = Server  # type: ignore[misc]


def readable_answer(data: list[Any], contents: Callable[[Any], list[Any]]) -> list[Any]:
    """What an assistant is told of a tool's outputs: the images of the first, and words and addresses of the others.

    Args:
        data: the outputs, or a list of them alone.
        contents: makes one value into contents, those of an image and its address.
    """
    outputs = data[0] if len(data) == 1 and isinstance(data[0], list | tuple) else data
    told: list[Any] = []
    files = set()
    for number, output in enumerate(outputs):
        for piece in _pieces(output):
            if isinstance(piece, dict):
                if piece["path"] in files:
                    continue
                files.add(piece["path"])
            told += [content for content in contents(piece) if number == 0 or content.type == "text"]
    return told


def _pieces(value: Any) -> Iterator[Any]:
    """The texts and the files in a component's value, in order; of markup the text, of a table the last rows."""
    match value:
        case None | "" | {"__type__": "update"}:
            return
        case {"path": _}:
            yield value
        case {"image": image, "caption": caption}:
            yield from (caption, image) if caption else (image,)
        case {"columns": columns, "data": rows}:
            yield "\n".join(", ".join(map(str, row)) for row in [columns, *rows[-ROWS:]])
        case list() | tuple():
            for each in value:
                yield from _pieces(each)
        case str() if value.startswith("<"):
            yield " ".join(re.sub(r"(?s)<(style|svg).*?</\1>|<[^>]*>", " ", value).split())
        case _:
            yield value if isinstance(value, str) else json.dumps(value)
