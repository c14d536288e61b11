"""The download of a finished picture, in the format that the visitor chooses."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import tifffile
import torch

from toolkit.errors import ToolkitError
from toolkit.images.formats import read_recipe, save_image

from ..gradio_internals import as_path


class Kind(NamedTuple):
    """A format: its suffix, the bits of a channel, and whether it is transparent where the photograph is."""

    suffix: str
    bits: int = 8
    transparent: bool = False


KINDS = {
    "PNG": Kind(".png"),
    "PNG, transparent where the photograph is": Kind(".png", transparent=True),
    "PNG, 16 bits": Kind(".png", 16),
    "TIFF, 16 bits": Kind(".tif", 16),
    "JPEG": Kind(".jpg"),
    "WebP": Kind(".webp"),
}


class Download:
    """The choice of a format and the button, which is disabled until there is a picture.

    ``whole``: a component that is not shown, for the file that each format is made from: a TIFF of 16 bits with the
    recipe and the photograph's alpha, if it has any.

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
        self.whole = as_path(gr.File(label="The picture in 16 bits", visible=False))
        self.kind.input(**self.convert())

    def convert(self) -> dict[str, Any]:
        """The arguments of an event after which the button offers the picture in the chosen format."""
        return {
            "fn": self._converted,
            "inputs": [self.kind, self.whole],
            "outputs": self.button,
            "api_visibility": "private",
            "show_progress": "hidden",
        }

    def _converted(self, kind: str, whole: str | None) -> Iterator[Any]:
        if whole is None:
            return
        chosen = KINDS[kind]
        try:
            with Path(whole).open("rb") as file:
                recipe = read_recipe(file)  # refuses what is no picture, or too large a one
        except (OSError, ToolkitError) as error:
            raise gr.Error("This picture is no longer on the server: make it again.", print_exception=False) from error
        pixels = torch.from_numpy(tifffile.imread(whole, key=0).astype("float32") / 65535)
        image = pixels.permute(2, 0, 1)[None]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.name}{chosen.suffix}"
            save_image(image if chosen.transparent else image[:, :3], path, recipe, bits=chosen.bits)
            yield str(path)
