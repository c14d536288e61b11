"""One image shown while it is optimised: preview, losses, film."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
import torch
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.pictures.io import fit, resize, to_picture
from toolkit.synthesis import Progress, Synthesis
from toolkit.synthesis.timelapse import Timelapse

from ..context import Context
from ..endpoints import Controls, Updates
from ..jobs import Job
from .download import NOT_YET, Download
from .images import as_file
from .job_controls import JobControls

#: Time between two previews: each is a file that the browser loads.
SECONDS_PER_PREVIEW = 0.5

#: Longest side of a preview in pixels, and of a frame of the film.
PREVIEW = 768
FILM = 384

#: Height of what is shown, in pixels: the largest thing on the page.
HEIGHT = 560

#: Lowest loss in the plot: a content loss may start at 0, which has no logarithm.
LOWEST_LOSS = 1e-3

COLUMNS = ("iteration", "loss (log10)", "layer")

#: Makes the synthesis on a device, and the image to compare its result with, perhaps with its alpha.
Make = Callable[[str], tuple[Synthesis, Tensor]]


class LiveImage(JobControls):
    """Controls of a job that makes one image.

    Its components appear where it is created, except the plot ``losses``, which appears where its ``render`` is called.
    The arguments are those of ``JobControls``, and a finished image to show ``first``, as files before and after.
    """

    images = 1

    def __init__(
        self,
        context: Context,
        name: str,
        run: gr.Button,
        stop: gr.Button,
        *others: gr.Button,
        first: tuple[str, str] | None = None,
        status: str = "",
    ) -> None:
        super().__init__(context, name, run, stop, *others, status=status)
        with gr.Tabs(selected="comparison" if first else "image") as self.tabs:
            with gr.Tab("Image", id="image"):
                self.result = gr.Image(
                    first[1] if first else None,
                    label="Result",
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    height=HEIGHT,
                    elem_id=f"{name}-result",
                    elem_classes="result",
                )
            with gr.Tab("Before and after", id="comparison"):
                self.comparison = gr.ImageSlider(
                    first,
                    label="Before and after",
                    interactive=False,
                    buttons=["fullscreen"],
                    max_height=HEIGHT,
                    elem_id=f"{name}-comparison",
                )
            with gr.Tab("Film", id="film"):
                self.film = gr.Image(
                    label="How the image was made",
                    format="webp",
                    interactive=False,
                    buttons=["download"],
                    height=HEIGHT,
                    elem_id=f"{name}-film",
                    elem_classes="result",
                )
        self.status.render()
        self.download = Download(name)
        self.download.offer(context.visits.came_back)
        self.losses = gr.LinePlot(
            x=COLUMNS[0],
            y=COLUMNS[1],
            color=COLUMNS[2],
            label="Loss of each layer",
            render=False,
            elem_id=f"{name}-losses",
            buttons=[],
        )
        self.outputs = [self.result, self.status, self.losses, self.comparison, self.film, self.download.whole]
        self.view = [self.result, self.comparison, self.tabs, self.status, self.download.button, self.download.whole]

    def shows(self, before: str, after: str, status: str, whole: str | None = None) -> Updates:
        """Updates of ``view`` that show a finished picture, with the file that its downloads are made from."""
        return {
            self.result: after,
            self.comparison: (before, after),
            self.tabs: gr.Tabs(selected="comparison"),
            self.status: status,
            self.download.button: NOT_YET,
            self.download.whole: whole,
        }

    def offer_image(self, function: Callable[..., Iterator[Updates]], controls: Controls) -> None:
        """Offers a job that yields what ``show`` yields to scripts, with the picture in 16 bits and the film."""
        self.offer(function, controls, self.result, self.download.whole, self.film)

    def connect(  # type: ignore[override]
        self,
        event: Callable[..., Any],
        function: Callable[..., Iterator[Updates]],
        controls: Controls,
        outputs: list[Any],
        view: str = "image",
    ) -> Any:
        """As ``JobControls``; the view of that name comes to the front as soon as the job starts."""
        first = {self.tabs: gr.update(selected=view), self.download.button: NOT_YET}
        ended = super().connect(event, function, controls, outputs, first)
        for end in (ended.success, ended.failure):
            self.download.offer(end)
        return ended

    def show(self, request: gr.Request, make: Make) -> Iterator[Updates]:
        """Runs a synthesis and shows it. However it ends, its best image stays."""
        return self.run(request, lambda job: self._synthesise(job, make))

    def _synthesise(self, job: Job, make: Make) -> Iterator[Updates]:
        synthesis, before = make(job.device)
        size = synthesis.recipe.size
        with tempfile.TemporaryDirectory() as folder:  # Gradio copies each file into its own cache
            film = Timelapse(Path(folder) / f"{self.name}.webp", longest=FILM)
            progress, trouble = None, ""
            try:
                for progress, losses in _to_show(synthesis, job, film):
                    # Coarse levels are shown as large as the finest, so that the image does not jump.
                    preview = to_picture(fit(progress.preview(), min(PREVIEW, size)))
                    shown = as_file(preview, Path(folder) / "preview.jpg")
                    yield {self.result: shown, self.status: _status(progress, job), self.losses: losses}
            except ToolkitError as error:
                if progress is None:
                    raise
                trouble = f" {error}"
            if progress is None:
                raise ToolkitError("Stopped before the first iteration.")
            job.notes |= {"size": size, "iterations": progress.iteration}
            saved, whole = (Path(folder) / f"{self.name}{suffix}" for suffix in (".png", ".tif"))
            made = synthesis.result
            original = resize(before, (made.image.shape[-2], made.image.shape[-1]))
            made.save(saved)
            replace(made, image=torch.cat([made.image, original[:, 3:]], 1)).save(whole)
            film.save()
            yield {
                self.result: str(saved),
                self.status: f"{job.ending} after {progress.iteration} iterations in {job.elapsed:.0f} s.{trouble}",
                self.comparison: (as_file(to_picture(original[:, :3]), Path(folder) / "before.jpg"), str(saved)),
                self.film: str(film.path),
                self.download.whole: str(whole),
            }


def _to_show(synthesis: Synthesis, job: Job, film: Timelapse) -> Iterator[tuple[Progress, pd.DataFrame]]:
    """The first progress, one every half second, and the last; each with the losses so far."""
    points: list[tuple[int, float, str]] = []

    def with_losses(progress: Progress) -> tuple[Progress, pd.DataFrame]:
        for name, loss in progress.losses.items():
            points.append((progress.iteration, math.log10(max(loss, LOWEST_LOSS)), name))
        return progress, pd.DataFrame(points, columns=list(COLUMNS))

    shown, hidden = float("-inf"), None
    for progress in synthesis:
        film.add(progress)
        hidden = progress
        if time.monotonic() - shown > SECONDS_PER_PREVIEW:
            yield with_losses(progress)
            shown, hidden = time.monotonic(), None
        if job.should_end:
            break
    if hidden:
        yield with_losses(hidden)


def _status(progress: Progress, job: Job) -> str:
    return f"Iteration {progress.iteration} of {progress.iterations} · {job.left(progress.remaining):.0f} s left"
