"""The download of a finished picture, in the format that the visitor chooses."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import tifffile
import torch
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.pictures.formats import read_recipe, save_image

from ..endpoints import Updates, listen
from .images import opened_with_alpha


class Kind(NamedTuple):
    """A format: its suffix, the bits of a channel, and whether it is transparent where the photograph is."""

    suffix: str
    bits: int = 8
    transparent: bool = False


#: The update that disables the button, until ``Download.offer`` enables it again.
NOT_YET = gr.update(interactive=False)

YES, NO = json.dumps(gr.update(interactive=True)), json.dumps(NOT_YET)

#: Enables the button if its file is of the chosen format and picture: the visitor may have gone on meanwhile.
ENABLE = f"(kind, whole, made) => made === `${{kind}} ${{whole?.path}}` ? {YES} : {NO}"

KINDS = {
    "PNG": Kind(".png"),
    "PNG, transparent where the photograph is transparent": Kind(".png", transparent=True),
    "PNG, 16 bits": Kind(".png", 16),
    "TIFF, 16 bits": Kind(".tif", 16),
    "JPEG": Kind(".jpg"),
    "WebP": Kind(".webp"),
}


class Download:
    """The choice of a format and the button, which is disabled until there is a picture in that format.

    ``whole``: a component that is not shown, for the file that each format is made from: a TIFF of 16 bits with the
    recipe and the photograph's alpha, if it has any; or a picture with a recipe that the visitor brought.

    Args:
        name: of the tab, for element ids and files.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        with gr.Row(equal_height=True):
            self.kind = gr.Dropdown(
                list(KINDS), label="Format", container=False, min_width=120, scale=1, elem_id=f"{name}-format"
            )
            self.button = gr.DownloadButton(
                "Download", interactive=False, min_width=200, scale=2, elem_id=f"{name}-download"
            )
        self.whole = gr.File(label="The picture in 16 bits", visible=False)
        self._made = gr.Textbox(visible=False)  # the format and picture of the button's file
        at_once = f"() => ({NO})"  # else a quick click would give the last format
        self.kind.input(None, None, self.button, js=at_once, api_visibility="private")
        self.offer(self.kind.input, trigger_mode="always_last")

    def offer(self, event: Callable[..., Any], **options: Any) -> None:
        """After an event the button offers the picture in the chosen format, if there is one.

        Args:
            event: such as ``button.click``.
            options: of the event.
        """
        controls = {"kind": self.kind, "whole": self.whole}
        outputs = [self.button, self._made]
        made = listen(event, self._converted, controls, outputs, show_progress="hidden", **options)
        made.then(None, [self.kind, self.whole, self._made], self.button, js=ENABLE, api_visibility="private")

    def _converted(self, kind: str, whole: str | None) -> Iterator[Updates]:
        if whole is None:
            yield {self._made: None}
            return
        chosen = KINDS[kind]
        try:
            with Path(whole).open("rb") as file:
                recipe = read_recipe(file)  # refuses what is no picture, or too large a one
            image = _pixels(whole)
        except (OSError, ToolkitError) as error:
            raise ToolkitError("This picture is no longer on the server: make it again.") from error
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.name}{chosen.suffix}"
            save_image(image if chosen.transparent else image[:, :3], path, recipe, bits=chosen.bits)
            yield {self.button: str(path), self._made: f"{kind} {whole}"}


def _pixels(path: str) -> Tensor:
    """Of a TIFF of 16 bits, which Pillow would read as 8, or of a picture that a visitor brought."""
    if path.endswith(".tif"):
        values = tifffile.imread(path, key=0)
        if values.dtype == "uint16" and values.ndim == 3:
            return torch.from_numpy(values.astype("float32") / 65535).permute(2, 0, 1)[None]
    return opened_with_alpha(path, "picture")
