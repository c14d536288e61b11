"""The reconstruction tab: what each layer keeps of an image (Gatys, Ecker & Bethge 2016, figure 1)."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from toolkit.errors import ToolkitError
from toolkit.pictures.io import to_picture
from toolkit.studies import AXES, Kind, Step, Study, picture
from toolkit.synthesis import Recipe, Result
from toolkit.synthesis.recipe import SynthesisName

from ..components.controls import follow, network_choice, relu_layers, size_and_iterations
from ..components.finished import MADE_BEFORE, sheet
from ..components.images import as_file, examples, image_input, named, opened
from ..components.job_controls import JobControls, start_and_stop
from ..components.study_progress import check_limits, ending, status, steps
from ..components.tour import add_tour
from ..context import Context
from ..endpoints import Updates
from ..examples.finished import FIGURE_ONE
from ..jobs import Job
from ..tours import figure_one

#: By what is reconstructed: the synthesis, the study's axis, and the layers of figure 1.
KINDS: dict[str, tuple[SynthesisName, Kind, list[str]]] = {
    "content": ("reconstruction", AXES["content-layers"], FIGURE_ONE.rows[1].split(", ")),
    "style": ("texture", AXES["style-layers"], ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]),
}

INTRODUCTION = """\
Noise is optimised until a layer sees the same in it as in your image. *Content*: deep layers keep the objects and lose
the exact pixels. *Style*: each further layer adds larger structures, but their places are lost.
"""


def reconstruct_tab(context: Context) -> None:
    """Fills the current ``gr.Tab``."""
    gr.Markdown(INTRODUCTION)
    add_tour(context, figure_one(context))
    with gr.Row():
        with gr.Column(scale=1, min_width=340):
            photograph = named(context.photographs, FIGURE_ONE.photograph)
            image = image_input("Image", "The image to reconstruct", photograph, "reconstruct-image")
            run, stop = start_and_stop("Reconstruct", "reconstruct", "reconstruct-stop")
            examples("Images", [*context.photographs, *context.paintings], image)
            what = gr.Radio(list(KINDS), value="content", label="What to reconstruct", elem_id="what")
            layers = gr.CheckboxGroup(
                relu_layers(context),
                value=KINDS["content"][2],
                label="Layers",
                info="Content: each layer alone. Style: each layer with those before it",
            )
            size, iterations = size_and_iterations(context, FIGURE_ONE.recipe.size, FIGURE_ONE.recipe.iterations)
            network = network_choice(context)
        with gr.Column(scale=1, min_width=340):
            job_controls = JobControls(
                context, "reconstruct", run, stop, status=MADE_BEFORE.format(FIGURE_ONE.recipe.size, "Reconstruct")
            )
            gallery = gr.Gallery(
                _finished(),
                label="Result of each layer",
                columns=3,
                height=560,
                object_fit="contain",
                interactive=False,
                elem_id="reconstruct-gallery",
            )
            job_controls.status.render()
            download = gr.DownloadButton(
                "Download as one image", sheet(context.photographs, FIGURE_ONE)[0], elem_id="reconstruct-download"
            )

    def reconstruct(
        request: gr.Request, image: str | None, what: str, layers: list[str], network: str, **fields: Any
    ) -> Iterator[Updates]:
        """Reconstructs an image from what single layers see of it."""

        def work(job: Job) -> Iterator[Updates]:
            if not layers:
                raise ToolkitError("Choose at least one layer.")
            synthesis, kind, _ = KINDS[what]
            original = opened(image, "chosen")
            study = Study(
                context.network(network),
                Recipe.preset(synthesis, **fields),
                kind(",".join(name for name in relu_layers(context) if name in layers)),
                content=original if what == "content" else None,
                styles=[original] if what == "style" else [],
                device=job.device,
            )
            check_limits(study, context)
            with tempfile.TemporaryDirectory() as folder:
                for step in steps(study, job):
                    yield {gallery: _pictures(study, Path(folder), step), job_controls.status: status(step, job)}
                job.notes |= {"cells": len(study.cells), "size": max(study.size)}
                yield {
                    gallery: _pictures(study, Path(folder)),
                    job_controls.status: ending(study, job),
                    download: as_file(picture(study), Path(folder) / "reconstruct.png"),
                }

        yield from job_controls.run(request, work)

    controls = {
        "image": image,
        "what": what,
        "layers": layers,
        "size": size,
        "iterations": iterations,
        "network": network,
    }
    job_controls.offer(reconstruct, controls, download, gallery)
    job_controls.connect(run.click, reconstruct, controls, [gallery, job_controls.status, download])
    follow(what, {name: [usual] for name, (_, _, usual) in KINDS.items()}, [layers])


def _finished() -> list[tuple[str, str]]:
    """The images that the tab opens with."""
    return [(path, _caption(label, Result.read(path).losses)) for path, label in FIGURE_ONE.labelled]


def _caption(label: str, losses: Mapping[str, float]) -> str:
    return f"{label} · loss {sum(losses.values()):.2g}"


def _pictures(study: Study, folder: Path, step: Step | None = None) -> list[tuple[str, str]]:
    """The image of each layer so far, as a file in the folder, with a caption."""
    shown = []
    for row, variation in enumerate(study.rows.variations):
        if cell := study.cells.get((row, 0)):
            if cell.image is not None:
                caption = _caption(variation.label, cell.losses)
                shown.append((as_file(to_picture(cell.image), folder / f"{row}.jpg"), caption))
        elif step and step.row == row and step.progress:
            progress = step.progress
            caption = f"{variation.label} · {progress.iteration} of {progress.iterations}"
            shown.append((as_file(to_picture(progress.preview()), folder / f"{row}.jpg"), caption))
    return shown
