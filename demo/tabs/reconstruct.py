"""The reconstruction tab: what each layer still knows of a picture (Gatys, Ecker & Bethge 2016, figure 1)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from toolkit.errors import ToolkitError
from toolkit.images.io import to_picture
from toolkit.studies import AXES, Kind, Step, Study, picture
from toolkit.synthesis import Recipe
from toolkit.synthesis.recipe import SynthesisName

from ..components.inputs import as_file, examples, follow, layers_of, named, network_choice, opened, size_and_length
from ..components.inputs import picture as picture_input
from ..components.job_controls import Stage, Updates
from ..components.study_progress import checked, steps, told
from ..context import Studio
from ..jobs import Job

#: By what is reconstructed: the synthesis, the study's axis, and the layers of figure 1.
KINDS: dict[str, tuple[SynthesisName, Kind, list[str]]] = {
    "content": ("reconstruction", AXES["content-layers"], ["relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2"]),
    "style": ("texture", AXES["style-layers"], ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]),
}

INTRODUCTION = """\
From noise to a picture, knowing only what one layer says of the original. *Content*: the deeper the layer, the more of
the pixels is forgotten, and the objects stay. *Style*: each layer added brings larger structures, and no arrangement.
"""


def reconstruct_tab(studio: Studio) -> None:
    """Lays out the tab inside the current ``gr.Blocks`` and wires it."""
    with gr.Tab("Reconstruct", id="reconstruct"):
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                image = picture_input(
                    "Picture", "The picture to make anew", named(studio.photographs, "chelsea"), "reconstruct-image"
                )
                with gr.Row():
                    run = gr.Button("Reconstruct", variant="primary", elem_id="reconstruct")
                    stop = gr.Button("Stop", interactive=False, elem_id="reconstruct-stop")
                examples("Pictures", [*studio.photographs, *studio.drawings], image)
                what = gr.Radio(list(KINDS), value="content", label="What of it", elem_id="what")
                layers = gr.CheckboxGroup(
                    layers_of(studio),
                    value=KINDS["content"][2],
                    label="Layers",
                    info="Each alone for the content; each with those before it for the style",
                )
                size, length = size_and_length(studio, 256, 100)
                network = network_choice(studio)
            with gr.Column(scale=1, min_width=340):
                stage = Stage(studio, "reconstruct", run, stop)
                gallery = gr.Gallery(
                    label="Layer by layer",
                    columns=2,
                    height=620,
                    object_fit="contain",
                    interactive=False,
                    elem_id="reconstruct-gallery",
                )
                stage.status.render()
                download = gr.DownloadButton("Download as one", interactive=False, elem_id="reconstruct-download")

    def reconstruct(
        request: gr.Request,
        image: str | None = None,
        what: str = "content",
        layers: list[str] | None = None,
        size: int = 256,
        length: int = 100,
        network: str = "",
    ) -> Iterator[Updates]:
        """Makes a picture anew from what single layers know of it.

        Args:
            request: who asks.
            image: the picture.
            what: content, each layer alone; or style, each layer with those before it.
            layers: relu1_1 to relu5_4.
            size: longest side in pixels.
            length: number of evaluations for each.
            network: which of the networks on offer.
        """

        def show(job: Job) -> Iterator[Updates]:
            if what not in KINDS:
                raise ToolkitError(f"There is no {what!r} to reconstruct: choose content or style.")
            synthesis, kind, _ = KINDS[what]
            if not layers:
                raise ToolkitError("Choose at least one layer.")
            recipe = Recipe.preset(
                synthesis,
                **studio.limits.granted(size, length),
            )
            original = opened(image, "chosen")
            order = [name for name in layers_of(studio) if name in layers]
            study = Study(
                studio.network(network),
                recipe,
                kind(",".join(order)),
                content=original if what == "content" else None,
                styles=[original] if what == "style" else [],
                device=job.device,
            )
            checked(study, studio)
            with tempfile.TemporaryDirectory() as folder:
                for step in steps(study, job):
                    yield {gallery: _pictures(study, Path(folder), step), stage.status: told(step, job)}
                job.notes |= {"cells": len(study.cells), "size": recipe.size}
                yield {
                    gallery: _pictures(study, Path(folder)),
                    stage.status: f"{job.ending}: {len(study.cells)} of {len(order)} in {job.elapsed:.0f} s.",
                    download: as_file(picture(study), Path(folder) / "reconstruct.png"),
                }

        yield from stage.play(request, show)

    controls = {
        "image": image,
        "what": what,
        "layers": layers,
        "size": size,
        "length": length,
        "network": network,
    }
    stage.on(run.click, reconstruct, [gallery, stage.status, download], inputs_kwargs=controls, api_name="reconstruct")
    follow(what, {name: [usual] for name, (_, _, usual) in KINDS.items()}, [layers])


def _pictures(study: Study, folder: Path, step: Step | None = None) -> list[tuple[str, str]]:
    """What there is of each layer so far, as a file in that folder, with its name and loss."""
    shown = []
    for row, variation in enumerate(study.rows.variations):
        if cell := study.cells.get((row, 0)):
            if cell.image is not None:
                caption = f"{variation.label} · loss {sum(cell.losses.values()):.2g}"
                shown.append((as_file(to_picture(cell.image), folder / f"{row}.jpg"), caption))
        elif step and step.row == row and step.progress:
            progress = step.progress
            caption = f"{variation.label} · {progress.evaluation} of {progress.evaluations}"
            shown.append((as_file(to_picture(progress.preview()), folder / f"{row}.jpg"), caption))
    return shown
