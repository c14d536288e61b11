"""The place where one picture is painted before the visitor's eyes: the picture, its losses, its film."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import pandas as pd
from torch import Tensor

from toolkit.errors import ToolkitError
from toolkit.images.io import fit, resize, save_png, to_picture
from toolkit.synthesis import Progress, Synthesis
from toolkit.synthesis.timelapse import Timelapse

from ..context import Studio
from ..jobs import Job
from .inputs import as_file
from .job_controls import Stage, Updates

#: Between two pictures shown while it runs, and their longest side.
SECONDS_PER_PREVIEW = 0.5
PREVIEW = 768

#: Longest side of a film.
FILM = 384

#: The lowest loss of the curve: the content loss starts at nought, which has no logarithm.
FLOOR = 1e-3

COLUMNS = ("evaluation", "loss (log10)", "layer")

#: Makes the synthesis on a device, and gives the picture to compare its result with.
Make = Callable[[str], tuple[Synthesis, Tensor]]


class Easel(Stage):
    """A stage for one picture. Lays out its components where it is made, but for the losses' ``curve``: that goes
    where its ``render`` is called. The arguments are a stage's.
    """

    def __init__(self, studio: Studio, name: str, run: gr.Button, stop: gr.Button, *afterwards: gr.Button) -> None:
        super().__init__(studio, name, run, stop, *afterwards)
        with gr.Tabs():
            with gr.Tab("Picture"):
                self.result = gr.Image(
                    label="Result",
                    type="filepath",
                    image_mode=None,
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    height=480,
                    elem_id=f"{name}-result",
                )
            with gr.Tab("Before and after"):
                self.comparison = gr.ImageSlider(
                    label="Before and after",
                    interactive=False,
                    buttons=["fullscreen"],
                    height=480,
                    elem_id=f"{name}-comparison",
                )
            with gr.Tab("Film"):
                self.film = gr.Image(
                    label="How it was made",
                    type="filepath",
                    format="webp",
                    interactive=False,
                    buttons=["download"],
                    height=480,
                    elem_id=f"{name}-film",
                )
        self.status.render()
        self.download = gr.DownloadButton("Download PNG with recipe", interactive=False, elem_id=f"{name}-download")
        self.curve = gr.LinePlot(
            x=COLUMNS[0],
            y=COLUMNS[1],
            color=COLUMNS[2],
            label="Loss of every layer, as it falls",
            render=False,
            elem_id=f"{name}-curve",
            buttons=[],
        )
        self.outputs = [self.result, self.status, self.curve, self.comparison, self.film, self.download]

    def paint(self, request: gr.Request, make: Make) -> Iterator[Updates]:
        """Runs a synthesis, showing it; whatever ends it, the best picture stays."""
        return self.play(request, lambda job: self._painting(job, make))

    def _painting(self, job: Job, make: Make) -> Iterator[Updates]:
        synthesis, before = make(job.device)
        with tempfile.TemporaryDirectory() as folder:  # Gradio copies what is yielded into its own cache
            film = Timelapse(Path(folder) / f"{self.name}.webp", longest=FILM)
            progress, trouble = None, ""
            try:
                for progress, rows in _shown(synthesis, job, film):
                    preview = to_picture(fit(progress.preview(), min(PREVIEW, synthesis.recipe.size)))
                    shown = as_file(preview, Path(folder) / "preview.jpg")
                    yield {self.result: shown, self.status: _status(progress, job), self.curve: rows}
            except ToolkitError as error:
                if progress is None:
                    raise
                trouble = str(error)
            if progress is None:
                raise ToolkitError("It was stopped before there was anything to see.")
            made = progress.evaluation - synthesis.spared
            job.notes |= {"size": synthesis.recipe.size, "evaluations": made}
            saved = Path(folder) / f"{self.name}.png"
            save_png(synthesis.image, saved, synthesis.recipe.to_json())
            film.save()
            height, width = synthesis.image.shape[-2:]
            original = to_picture(resize(before, (height, width)))
            ending = f"{job.ending} after {made} evaluations in {job.elapsed:.0f} s."
            yield {
                self.result: str(saved),
                self.status: f"{ending} {trouble}",
                self.comparison: (as_file(original, Path(folder) / "before.jpg"), str(saved)),
                self.film: str(film.path),
                self.download: str(saved),
            }


def _shown(synthesis: Synthesis, job: Job, film: Timelapse) -> Iterator[tuple[Progress, pd.DataFrame]]:
    """The progress worth showing, with the curve so far: the first, one every half second, and the last."""
    points: list[tuple[int, float, str]] = []
    shown = float("-inf")
    for progress in synthesis:
        film.add(progress)
        over = job.over
        if over or progress.evaluation == progress.evaluations or time.monotonic() - shown > SECONDS_PER_PREVIEW:
            points += [(progress.evaluation, math.log10(max(v, FLOOR)), n) for n, v in progress.losses.items()]
            yield progress, pd.DataFrame(points, columns=list(COLUMNS))
            shown = time.monotonic()
        if over:
            return


def _status(progress: Progress, job: Job) -> str:
    left = max(min(progress.remaining, job.seconds - job.elapsed), 0)
    return f"Evaluation {progress.evaluation} of {progress.evaluations} · {left:.0f} s left"
