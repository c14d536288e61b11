"""Image inputs, example images, and the files that visitors sent."""

from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.pictures.io import open_alpha, open_picture, to_tensor

from ..endpoints import QUICK, Updates, listen
from ..examples import thumbnail


def image_input(label: str, hint: str, path: str, elem_id: str) -> gr.Image:
    """An input for one image, with an example in it. Its value is the file's path."""
    return gr.Image(
        path,
        type="filepath",
        image_mode=None,
        label=label,
        placeholder=hint,
        sources=["upload", "webcam", "clipboard"],
        buttons=[],  # they would cover the label on a phone
        height=230,
        min_width=160,
        elem_id=elem_id,
    )


def strip(pictures: list[str], columns: int, **options: Any) -> gr.Gallery:
    """A row of pictures to click on."""
    return gr.Gallery(
        pictures,
        label="Pictures",
        show_label=False,
        columns=columns,
        height=112,
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_classes="strip",
        **options,
    )


def examples(label: str, paths: list[str], image: gr.Image) -> None:
    """Example images to choose from."""
    with gr.Column(elem_classes="examples"):
        gr.Markdown(f"**{label}**", elem_classes="strip-title")
        shown = strip(list(map(thumbnail, paths)), len(paths))

    def choose(event: gr.SelectData) -> Updates:
        return {image: paths[event.index]}

    listen(shown.select, choose, {}, [image], **QUICK)


def named(paths: list[str], stem: str) -> str:
    """The path of the file with that name."""
    return next(path for path in paths if Path(path).stem == stem)


def opened(path: str | None, role: str) -> Tensor:
    """A visitor's image, (1, 3, H, W).

    Raises:
        ToolkitError: when there is none, or it cannot be read. The message names no path of this server.
    """
    if path is None:
        raise ToolkitError(f"There is no {role} image yet: choose one, or an example.")
    try:
        with Path(path).open("rb") as file:
            return to_tensor(open_picture(file, name=f"The {role} image"))
    except OSError as error:
        raise ToolkitError(f"The {role} image is no longer on the server: choose it again.") from error


def opened_with_alpha(path: str | None, role: str) -> Tensor:
    """As ``opened``; with a fourth channel, its alpha, where the image has transparent parts."""
    image = opened(path, role)
    alpha = open_alpha(str(path))
    return image if alpha is None else torch.cat([image, alpha], 1)


def as_file(picture: Image.Image, path: Path) -> str:
    """Writes an image to show, and returns its path.

    Gradio would overwrite one file in place for every preview, and a browser could get half of it; files are copied.
    """
    picture.save(path)
    return str(path)
