"""The study tab: a labelled grid of syntheses, two things varied."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from toolkit.errors import ToolkitError
from toolkit.studies import AXES, Axis, Kind, Study, Variation, data
from toolkit.studies import picture as sheet
from toolkit.synthesis import Recipe

from ..components.inputs import as_file, examples, follow, named, network_choice, opened, picture, size_and_length
from ..components.job_controls import Stage, Updates
from ..components.study_progress import checked, count, steps, told
from ..context import Studio
from ..jobs import Job

#: What a study can be of: its synthesis.
SYNTHESES = ("transfer", "reconstruction", "texture")

NO_COLUMNS = "nothing"

INTRODUCTION = """\
One thing varied from row to row, another from column to column: layers against iterations, subsets of style layers
against the weight of the content, the normalised network against the original.
"""


def study_tab(studio: Studio) -> None:
    """Lays out the tab inside the current ``gr.Blocks`` and wires it."""
    kinds = AXES | {"network": _networks(studio)}
    with gr.Tab("Study", id="study"):
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                with gr.Row():
                    content = picture("Content", "The photograph", named(studio.photographs, "rocket"), "study-content")
                    style = picture("Style", "The style", named(studio.drawings, "night_swirls"), "study-style")
                with gr.Row():
                    run = gr.Button("Make the grid", variant="primary", elem_id="study")
                    stop = gr.Button("Stop", interactive=False, elem_id="study-stop")
                examples("Photographs", studio.photographs, content)
                examples("Styles", studio.drawings, style)
                synthesis = gr.Radio(list(SYNTHESES), value="transfer", label="Of a")
                with gr.Row():
                    rows = gr.Dropdown(list(kinds), value="style-layers", label="Rows", elem_id="rows")
                    row_values = gr.Textbox(
                        "relu1_1, relu2_1, relu3_1, relu4_1, relu5_1", label="Their values", elem_id="row-values"
                    )
                with gr.Row():
                    columns = gr.Dropdown([NO_COLUMNS, *kinds], value="iterations", label="Columns", elem_id="columns")
                    column_values = gr.Textbox("10, 30, 100", label="Their values", elem_id="column-values")
                size, length = size_and_length(studio, 192, 60)
                network = network_choice(studio)
            with gr.Column(scale=1, min_width=340):
                stage = Stage(studio, "study", run, stop)
                grid = gr.Image(
                    label="The grid",
                    type="filepath",
                    image_mode=None,
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    elem_id="study-grid",
                )
                stage.status.render()
                with gr.Row():
                    download = gr.DownloadButton("Download as a picture", interactive=False, elem_id="study-download")
                    figures = gr.DownloadButton("Download its data", interactive=False, elem_id="study-data")

    def study(
        request: gr.Request,
        content: str | None = None,
        style: str | None = None,
        synthesis: str = "transfer",
        rows: str = "style-layers",
        row_values: str = "",
        columns: str = "iterations",
        column_values: str = "",
        size: int = 192,
        length: int = 60,
        network: str = "",
    ) -> Iterator[Updates]:
        """Makes a labelled grid of syntheses.

        Args:
            request: who asks.
            content: the content image.
            style: the style image.
            synthesis: transfer, reconstruction or texture.
            rows: what varies from row to row: content-layers, style-layers, style-layer, ratio, iterations, size,
                seed, network or normalization.
            row_values: its values, between commas; the usual ones when empty.
            columns: what varies from column to column, likewise, or nothing.
            column_values: its values.
            size: longest side of each picture in pixels.
            length: number of evaluations of each.
            network: which of the networks on offer.
        """

        def axis(name: str, values: str) -> Axis:
            if name not in kinds:
                raise ToolkitError(f"{name!r} can't be varied: choose one of {', '.join(kinds)}.")
            return kinds[name](values or "")

        def show(job: Job) -> Iterator[Updates]:
            recipe = Recipe.preset(
                synthesis,  # type: ignore[arg-type]  # the recipe refuses others in a sentence
                **studio.limits.granted(size, length),
            )
            along = axis(rows, row_values), None if columns == NO_COLUMNS else axis(columns, column_values)
            count(*along)
            made = Study(
                studio.network(network),
                recipe,
                *along,
                content=None if synthesis == "texture" else opened(content, "content"),
                styles=[] if synthesis == "reconstruction" else [opened(style, "style")],
                device=job.device,
            )
            checked(made, studio)
            with tempfile.TemporaryDirectory() as folder:
                preview, numbers = Path(folder) / "study.jpg", Path(folder) / "study.json"
                yield {grid: as_file(sheet(made), preview)}
                for step in steps(made, job):
                    update: Updates = {stage.status: told(step, job)}
                    yield update | ({grid: as_file(sheet(made), preview)} if step.finished else {})
                job.notes |= {"cells": len(made.cells), "size": recipe.size}
                numbers.write_text(json.dumps(data(made), indent=2))
                saved = as_file(sheet(made), Path(folder) / "study.png")
                yield {
                    grid: saved,
                    stage.status: f"{job.ending}: {len(made.cells)} pictures in {job.elapsed:.0f} s.",
                    download: saved,
                    figures: str(numbers),
                }

        yield from stage.play(request, show)

    controls = {
        "content": content,
        "style": style,
        "synthesis": synthesis,
        "rows": rows,
        "row_values": row_values,
        "columns": columns,
        "column_values": column_values,
        "size": size,
        "length": length,
        "network": network,
    }
    outputs = [grid, stage.status, download, figures]
    stage.on(run.click, study, outputs, inputs_kwargs=controls, api_name="study")
    usual = {name: [kind.usual] for name, kind in kinds.items()} | {NO_COLUMNS: [""]}
    follow(rows, usual, [row_values])
    follow(columns, usual, [column_values])


def _networks(studio: Studio) -> Kind:
    """The axis of the networks on offer here, and of no others."""
    return Kind(
        "network",
        ",".join(studio.networks),
        lambda names: [Variation(name, network=studio.network(name)) for name in names],
    )
