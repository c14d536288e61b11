"""What the page uses of Gradio that Gradio does not document. ``tests/demo/test_gradio_internals.py`` watches it."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.context import Context


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


def as_path(image: gr.Image) -> gr.Image:
    """Passes the uploaded file's path on, unopened.

    Undocumented: ``preprocess`` gets the file's data. Gradio's own opens the file, with errors of its own.
    """
    image.preprocess = lambda payload: _path(payload)  # type: ignore[method-assign]
    return image


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
