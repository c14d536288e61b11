"""The clip tab: a short clip painted without flicker."""

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from toolkit.choices import LONGEST_CLIP
from toolkit.errors import ToolkitError
from toolkit.jobs.clip import ClipPainting
from toolkit.jobs.synthesis import Transfer
from toolkit.pictures.io import to_picture
from toolkit.synthesis import Progress, Recipe
from toolkit.synthesis.notation import STRENGTHS

from ..components.controls import DEFAULTS, WORDS, network_choice, size_and_iterations
from ..components.finished import MADE_BEFORE
from ..components.images import as_file, examples, image_input, named, opened
from ..components.job_controls import JobControls, start_and_stop
from ..components.live_image import HEIGHT, SECONDS_PER_PREVIEW
from ..context import Context
from ..endpoints import Updates
from ..examples import CLIP_RATE, clip_file
from ..examples.finished import MOVING
from ..jobs import Job
from ..notes import notes_on

INTRODUCTION = """\
Each frame goes on from the painted frame before it, carried along by the motion in the clip: strokes stay where they
are, and nothing flickers. A cut begins anew. Sound is kept. Iterations are those of a scene's first frame; each other
frame gets a fifth.
"""


def clip_tab(context: Context) -> None:
    """Fills the current ``gr.Tab``."""
    gr.Markdown(INTRODUCTION)
    with gr.Row():
        with gr.Column(scale=1, min_width=340):
            with gr.Row():
                clip = gr.Video(
                    clip_file(named(context.photographs, MOVING.photograph)),
                    label="Clip",
                    sources=["upload", "webcam"],
                    height=230,
                    min_width=160,
                    elem_id="clip",
                )
                painting = named(context.paintings, MOVING.style)
                style = image_input("Style", "The image to take the style from", painting, "clip-style")
            run, stop = start_and_stop("Paint the clip", "paint-clip", "clip-stop")
            examples("Styles", context.paintings, style)
            strength = gr.Radio(list(STRENGTHS), value=WORDS[DEFAULTS.style_weight], label="How much style")
            with gr.Row():
                most = context.settings.max_frames
                begin = gr.Number(0, label="From", info="The second to begin with", minimum=0, maximum=LONGEST_CLIP)
                seconds = gr.Number(2, label="Length", info="Seconds to paint", minimum=0.1, maximum=LONGEST_CLIP)
                fps = gr.Number(
                    CLIP_RATE, label="Frames a second", info=f"At most {most} frames in all", minimum=1, maximum=60
                )
            size, iterations = size_and_iterations(context, 256, DEFAULTS.iterations)
            network = network_choice(context)
        with gr.Column(scale=1, min_width=340):
            controls = JobControls(context, "clip", run, stop, status=MADE_BEFORE.format(MOVING.size, "Paint the clip"))
            with gr.Tabs(selected="film") as views:
                with gr.Tab("Frame in work", id="frame"):
                    frame = gr.Image(
                        label="Frame in work", interactive=False, buttons=[], height=HEIGHT, elem_classes="result"
                    )
                with gr.Tab("Painted clip", id="film"):
                    film = gr.Video(
                        str(MOVING.path),
                        label="Painted clip",
                        interactive=False,
                        autoplay=True,
                        loop=True,
                        buttons=["download"],
                        height=HEIGHT,
                        elem_id="painted-clip",
                    )
            controls.status.render()

    def paint_clip(
        request: gr.Request,
        clip: str | None,
        style: str | None,
        strength: str,
        begin: float,
        seconds: float,
        fps: float,
        network: str,
        **fields: Any,
    ) -> Iterator[Updates]:
        """Paints a short clip in the style of an image, without flicker."""

        def work(job: Job) -> Iterator[Updates]:
            if clip is None:
                raise ToolkitError("There is no clip yet: choose one.")
            if not Path(clip).is_file():
                raise ToolkitError("The clip is no longer on the server: choose it again.")
            opened(style, "style")  # or told in a sentence
            if math.ceil(seconds * fps) > most:
                raise ToolkitError(f"At most {most} frames are painted here: ask for fewer seconds or frames a second.")
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "clip.mp4"
                what = Transfer(
                    content=clip,
                    styles=(str(style),),
                    output=path,
                    device=job.device,
                    from_=begin,
                    to=begin + seconds,
                    fps=fps,
                    recipe=Recipe.preset("transfer", style_weight=STRENGTHS[strength], **fields),
                )
                names = {f" {clip}": " the clip", clip: "The clip", folder: "The server"}
                with _without_paths(names), notes_on(clip) as notes:
                    painting = ClipPainting(what, context.network(network))
                    try:
                        for shown in _to_show(painting, job):
                            preview = as_file(to_picture(shown.preview()), Path(folder) / "frame.jpg")
                            yield {frame: preview, controls.status: _status(shown, job)}
                    except ToolkitError as error:
                        if not painting.times:
                            raise
                        notes.append(str(error))
                    if not painting.times:
                        raise ToolkitError(f"{job.ending} before the first frame was done.")
                    painting.save(path)
                count = len(painting.times)
                job.notes |= {"frames": count, "size": what.recipe.size}
                told = "".join(f" {_named(note, names)}" for note in dict.fromkeys(notes))
                yield {
                    film: str(path),
                    controls.status: f"{job.ending}: {count} frames in {job.elapsed:.0f} s.{told}",
                    views: gr.update(selected="film"),
                }

        yield from controls.run(request, work)

    chosen = {
        "clip": clip,
        "style": style,
        "strength": strength,
        "begin": begin,
        "seconds": seconds,
        "fps": fps,
        "size": size,
        "iterations": iterations,
        "network": network,
    }
    controls.offer(paint_clip, chosen, film)
    outputs = [film, frame, controls.status, views]
    controls.connect(run.click, paint_clip, chosen, outputs, {views: gr.update(selected="frame")})


@contextmanager
def _without_paths(names: dict[str, str]) -> Iterator[None]:
    """Errors with names in place of paths of this server."""
    try:
        yield
    except ToolkitError as error:
        raise ToolkitError(_named(str(error), names)) from error


def _named(text: str, names: dict[str, str]) -> str:
    for path, name in names.items():
        text = text.replace(path, name)
    return text


def _to_show(painting: ClipPainting, job: Job) -> Iterator[Progress]:
    """The first progress, and one every half second, until the clip or the job ends."""
    shown = float("-inf")
    for progress in painting:
        if time.monotonic() - shown > SECONDS_PER_PREVIEW:
            yield progress
            shown = time.monotonic()
        if job.should_end:
            return


def _status(progress: Progress, job: Job) -> str:
    return f"Frame {progress.frame} of {progress.frames} · {job.left(progress.remaining):.0f} s left"
