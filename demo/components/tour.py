"""A guided tour in a tab: a few steps, each with words, something to make, and what is to be seen in it."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from PIL import Image

from ..context import Context
from ..endpoints import QUICK, Updates, listen
from ..jobs import Job
from .images import as_file
from .job_controls import JobControls, start_and_stop

#: A sheet as far as it is made, if it has begun, and how far that is.
Shown = tuple[Image.Image | None, str]


@dataclass(frozen=True)
class Part:
    """One step of a tour, which makes a sheet.

    Args:
        title: in a word or two.
        words: the question, in Markdown.
        do: on the button that makes the sheet.
        sheet: makes it; yields it as it grows.
        seen: what is to be seen in it, in Markdown; told when it is made.
    """

    title: str
    words: str
    do: str
    sheet: Callable[[Job], Iterator[Shown]]
    seen: str


@dataclass(frozen=True)
class Tour:
    """A guided tour.

    Args:
        name: for element ids, files and the log.
        title: what it explains.
        parts: its steps.
        ending: the last words, beside the downloads.
    """

    name: str
    title: str
    parts: tuple[Part, ...]
    ending: str


def add_tour(context: Context, tour: Tour) -> None:
    """Adds a tour to the current tab, closed."""
    downloads = [
        gr.DownloadButton(f"{part.title} (PNG)", interactive=False, render=False, elem_id=f"{tour.name}-png-{number}")
        for number, part in enumerate(tour.parts)
    ]
    with (
        gr.Accordion(f"Take the tour: {tour.title}", open=False, elem_id=f"{tour.name}-tour", elem_classes="tour"),
        gr.Walkthrough(selected=0) as walk,
    ):
        for number, part in enumerate(tour.parts):
            with gr.Step(part.title, id=number):
                _add_part(context, f"{tour.name}-{number}", part, downloads[number])
                following = gr.Button("Next", elem_id=f"{tour.name}-next-{number}")
                listen(following.click, _select(walk, number + 1), {}, [walk], **QUICK)
        with gr.Step("Download", id=len(tour.parts)):
            gr.Markdown(tour.ending)
            with gr.Row():
                for download in downloads:
                    download.render()


def _add_part(context: Context, name: str, part: Part, download: gr.DownloadButton) -> None:
    gr.Markdown(part.words)
    run, stop = start_and_stop(part.do, name, f"{name}-stop")
    controls = JobControls(context, name, run, stop)
    sheet = gr.Image(
        label=part.title, show_label=False, interactive=False, buttons=["fullscreen"], elem_id=f"{name}-sheet"
    )
    controls.status.render()
    seen = gr.Markdown(part.seen, visible=False, elem_id=f"{name}-seen")

    def part_of_tour(request: gr.Request) -> Iterator[Updates]:
        def work(job: Job) -> Iterator[Updates]:
            picture = None
            with tempfile.TemporaryDirectory() as folder:
                for latest, status in part.sheet(job):
                    update: Updates = {controls.status: status}
                    if latest is not None and latest is not picture:
                        update[sheet] = as_file(latest, Path(folder) / "preview.png")
                        picture = latest
                    yield update
                update = {controls.status: f"{job.ending} in {job.elapsed:.0f} s."}
                if picture is not None:
                    saved = as_file(picture, Path(folder) / f"{name}.png")
                    update |= {sheet: saved, download: saved, seen: gr.update(visible=True)}
                yield update

        yield from controls.run(request, work)

    controls.connect(run.click, part_of_tour, {}, [sheet, controls.status, seen, download])


def _select(walk: gr.Walkthrough, number: int) -> Callable[[], Updates]:
    return lambda: {walk: gr.Walkthrough(selected=number)}
