"""The transfer tab: content and style in; the picture, its losses and a PNG with its recipe out."""

import math
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from toolkit.errors import ToolkitError
from toolkit.network import Network
from toolkit.pictures import open_image, save_png, to_picture
from toolkit.synthesis import Progress, Recipe, Synthesis

from .examples import content_files, style_files
from .jobs import Jobs

#: Style weights, in words.
STRENGTHS = {"Gentle": 20.0, "Balanced": 100.0, "Strong": 1000.0}

#: Between two pictures shown while it runs.
SECONDS_PER_PREVIEW = 0.5

#: Longest sides offered, and numbers of evaluations.
SIZES = (128, 1024, 384)
LENGTHS = (20, 1000, 200)

#: The lowest loss of the curve: the content loss starts at nought, which has no logarithm.
FLOOR = 1e-3

COLUMNS = ("evaluation", "loss (log10)", "layer")


def transfer_tab(network: Network, device: str, jobs: Jobs) -> None:
    """Lays out the tab inside the current ``gr.Blocks`` and wires it."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                content = _picture("Content", "The photograph to paint", content_files())
                style = _picture("Style", "The picture that lends its style", style_files())
            strength = gr.Radio(list(STRENGTHS), value="Balanced", label="Strength of the style")
            with gr.Row():
                size = gr.Slider(*SIZES[:2], value=SIZES[2], step=32, label="Size", info="Longest side in pixels")
                length = gr.Slider(
                    *LENGTHS[:2], value=LENGTHS[2], step=10, label="Length", info="Evaluations; more is finer"
                )
            with gr.Row():
                run = gr.Button("Paint", variant="primary", elem_id="paint")
                stop = gr.Button("Stop", interactive=False, elem_id="stop")
        with gr.Column(scale=3, min_width=320):
            result = gr.Image(
                label="Result",
                format="png",
                interactive=False,
                buttons=["download", "fullscreen"],
                height=440,
                elem_id="result",
            )
            status = gr.Markdown("Choose two pictures and press **Paint**.", elem_id="status")
            curve = gr.LinePlot(
                x=COLUMNS[0],
                y=COLUMNS[1],
                color=COLUMNS[2],
                label="Loss of every layer, as it falls",
                elem_id="curve",
                buttons=[],
            )
            download = gr.DownloadButton("Download PNG with its recipe", interactive=False, elem_id="download")

    def paint(
        content: str | None,
        style: str | None,
        strength: str,
        size: float,
        length: float,
        request: gr.Request,
    ) -> Iterator[dict[Any, Any]]:
        """Paints the content image in the style of the other, showing it as it goes.

        Args:
            content: the content image.
            style: the style image.
            strength: Gentle, Balanced or Strong.
            size: longest side of the result in pixels.
            length: number of evaluations.
            request: who asks.
        """
        try:
            synthesis = _synthesis(network, device, content, style, strength, int(size), int(length))
            yield {run: gr.update(interactive=False), stop: gr.update(interactive=True), status: "Starting …"}
            with jobs.under_way(str(request.session_hash)) as flag:
                for progress, rows in _shown(synthesis, flag):
                    yield {result: to_picture(progress.preview()), status: _status(progress), curve: rows}
            ended = "Stopped" if flag.is_set() else "Done"
            with tempfile.TemporaryDirectory() as folder:  # Gradio copies what is yielded into its own cache
                saved = Path(folder) / "transfer.png"
                save_png(synthesis.image, saved, synthesis.recipe.to_json())
                yield {
                    result: str(saved),
                    status: f"{ended} after {progress.evaluation} evaluations in {progress.seconds:.0f} s.",
                    download: gr.update(value=str(saved), interactive=True),
                    run: gr.update(interactive=True),
                    stop: gr.update(interactive=False),
                }
        except ToolkitError as error:
            yield {run: gr.update(interactive=True), stop: gr.update(interactive=False), status: str(error)}
            raise gr.Error(str(error), print_exception=False) from error

    def halt(request: gr.Request) -> None:
        jobs.stop(str(request.session_hash))

    run.click(
        paint,
        [content, style, strength, size, length],
        [result, status, curve, download, run, stop],
        api_name="transfer",
        concurrency_limit=1,
        concurrency_id="device",
        show_progress="hidden",
    )
    stop.click(halt, queue=False, api_visibility="private")


def _picture(label: str, hint: str, examples: list[str]) -> gr.Image:
    """A place for one picture, with examples under it."""
    with gr.Column(min_width=200):
        picture = gr.Image(
            type="filepath",
            image_mode=None,
            label=label,
            placeholder=hint,
            sources=["upload", "clipboard"],
            height=220,
            elem_id=label.lower(),
        )
        gr.Examples(examples, picture, label="or one of these", examples_per_page=len(examples))
    return picture


def _synthesis(
    network: Network, device: str, content: str | None, style: str | None, strength: str, size: int, length: int
) -> Synthesis:
    if content is None or style is None:
        missing = "content" if content is None else "style"
        raise ToolkitError(f"There is no {missing} picture yet: choose one, or an example.")
    recipe = Recipe.preset("transfer", style_weight=STRENGTHS[strength], size=size, evaluations=length)
    return Synthesis(
        network, recipe, content=_opened(content, "content"), styles=[_opened(style, "style")], device=device
    )


def _opened(path: str, role: str) -> Any:
    with Path(path).open("rb") as file:  # opened here, so that no message names a path of this server
        try:
            return open_image(file)
        except ToolkitError as error:
            raise ToolkitError(str(error).replace("The picture", f"The {role} picture")) from error


def _shown(synthesis: Synthesis, flag: threading.Event) -> Iterator[tuple[Progress, pd.DataFrame]]:
    """The progress worth showing, with the curve so far: the first, one every half second, and the last."""
    points: list[tuple[int, float, str]] = []
    shown = float("-inf")
    for progress in synthesis:
        last = progress.evaluation == progress.evaluations or flag.is_set()
        if last or time.monotonic() - shown > SECONDS_PER_PREVIEW:
            points += [(progress.evaluation, math.log10(max(v, FLOOR)), n) for n, v in progress.losses.items()]
            yield progress, pd.DataFrame(points, columns=list(COLUMNS))
            shown = time.monotonic()
        if flag.is_set():
            return


def _status(progress: Progress) -> str:
    rate = progress.evaluation / max(progress.seconds, 1e-6)
    left = (progress.evaluations - progress.evaluation) / rate
    return f"Evaluation {progress.evaluation} of {progress.evaluations} · {rate:.1f} per second · {left:.0f} s left"
