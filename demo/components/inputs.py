"""Components that several tabs share, and pictures that visitors sent."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.images.io import open_image

from ..context import Studio


def picture(label: str, hint: str, path: str, elem_id: str) -> gr.Image:
    """A place for one picture, with one in it."""
    image = gr.Image(
        path,
        type="filepath",
        image_mode=None,
        label=label,
        placeholder=hint,
        sources=["upload", "clipboard"],
        height=230,
        min_width=160,
        elem_id=elem_id,
    )
    # The toolkit opens what comes: its limits, its sentences.
    image.preprocess = _path  # type: ignore[method-assign]
    return image


def examples(label: str, paths: list[str], image: gr.Image) -> None:
    """Pictures at hand, to be put in that place."""
    gr.Examples(paths, image, label=label, examples_per_page=len(paths), api_visibility="private")


def follow(
    choice: gr.Radio | gr.Dropdown, table: dict[str, list[Any]], controls: Sequence[gr.components.Component]
) -> None:
    """Has controls show what a table says of the choice; in the browser, without asking the server."""
    choice.input(None, choice, list(controls), js=f"choice => ({json.dumps(table)})[choice]", api_visibility="private")


def named(paths: list[str], stem: str) -> str:
    """The path of that name."""
    return next(path for path in paths if Path(path).stem == stem)


def _path(payload: Any) -> str | None:
    if payload is None:
        return None
    if payload.path is None:
        raise gr.Error("Send pictures as files.", print_exception=False)
    return str(payload.path)


def opened(path: str | None, role: str) -> Tensor:
    """A visitor's picture, (1, 3, H, W).

    Raises:
        ToolkitError: when there is none, or it can't be read; no message names a path of this server.
    """
    if path is None:
        raise ToolkitError(f"There is no {role} picture yet: choose one, or an example.")
    try:
        with Path(path).open("rb") as file:
            return open_image(file)
    except ToolkitError as error:
        raise ToolkitError(str(error).replace("The picture", f"The {role} picture")) from error
    except OSError as error:
        raise ToolkitError(f"The {role} picture is no longer there: choose it again.") from error


def as_file(picture: Image.Image, path: Path) -> str:
    """Writes a picture, and gives its path to show it by.

    Gradio writes a picture that it is handed in place, cut short for whoever is just being sent the same one; a file it
    copies aside and then moves there.
    """
    picture.save(path)
    return str(path)


def size_and_length(studio: Studio, size: int, length: int) -> tuple[gr.Slider, gr.Slider]:
    """How large and how long, within the host's limits."""
    limits = studio.limits
    with gr.Row():
        return (
            gr.Slider(
                min(64, limits.size),
                limits.size,
                value=min(size, limits.size),
                step=32 if limits.size % 32 == 0 else 1,
                label="Size",
                info="Longest side in pixels",
            ),
            gr.Slider(
                min(10, limits.evaluations),
                limits.evaluations,
                value=min(length, limits.evaluations),
                step=1 if limits.evaluations % 10 else 10,
                label="Length",
                info="Evaluations; more is finer",
            ),
        )


def network_choice(studio: Studio) -> gr.Dropdown:
    """Which of the host's networks; not shown when there is one."""
    return gr.Dropdown(
        list(studio.networks),
        value=studio.default,
        label="Network",
        info="What looks at the picture, normalised",
        visible=len(studio.networks) > 1,
    )


def session(request: gr.Request) -> str:
    """Who asks: a name for the visitor's session."""
    return str(request.session_hash)


def layers_of(studio: Studio) -> list[str]:
    """The ReLU layers of the default network, from the first on."""
    network = studio.networks[studio.default]
    return [layer.name for layer in network.architecture.layers if layer.kind == "relu"]
