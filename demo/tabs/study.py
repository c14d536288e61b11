"""The study tab: a labelled grid of syntheses in which two things vary."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from toolkit.errors import ToolkitError
from toolkit.studies import AXES, Kind, Place, Study, Variation, data, places
from toolkit.studies import picture as sheet
from toolkit.synthesis import Recipe
from toolkit.synthesis.recipe import SynthesisName

from ..components.controls import follow, network_choice, size_and_iterations
from ..components.images import as_file, examples, image_input, named, opened
from ..components.job_controls import JobControls, Updates
from ..components.study_progress import count_cells, status, steps, within_limits
from ..components.tour import add_tour
from ..context import Context
from ..gradio_internals import as_paths
from ..jobs import Job
from ..tours import why_normalise
from .transfer import Further

#: The syntheses that a study can be made of.
SYNTHESES = ("transfer", "reconstruction", "texture")

NO_COLUMNS = "nothing"

GO_ON = "Click on one of them to go on from it in the Transfer tab."


class Made(NamedTuple):
    """What a finished grid was made from, and where its pictures are in it: (left, top, right, bottom) in pixels."""

    content: str | None = None
    style: str | None = None
    boxes: Sequence[tuple[int, int, int, int]] = ()


INTRODUCTION = """\
Vary one thing from row to row and another from column to column: style layers and iterations, content layers and the
weight of the style, or the normalised network and the original.
"""


def study_tab(context: Context, further: Further) -> None:
    """Adds the tab to the current ``gr.Tabs``; a click on a picture of the grid goes on from it in the Transfer tab."""
    kinds = AXES | {"network": _networks(context)}
    with gr.Tab("Study", id="study"):
        gr.Markdown(INTRODUCTION)
        add_tour(context, why_normalise(context))
        with gr.Row():
            with gr.Column(scale=1, min_width=340):
                with gr.Row():
                    content = image_input(
                        "Content", "The content image", named(context.photographs, "rocket"), "study-content"
                    )
                    style = image_input(
                        "Style", "The style image", named(context.paintings, "night_swirls"), "study-style"
                    )
                with gr.Row():
                    run = gr.Button("Make the grid", variant="primary", elem_id="study")
                    stop = gr.Button("Stop", interactive=False, elem_id="study-stop")
                examples("Photographs", context.photographs, content)
                examples("Styles", context.paintings, style)
                synthesis = gr.Radio(list(SYNTHESES), value="transfer", label="Synthesis")
                with gr.Row():
                    rows = gr.Dropdown(
                        list(kinds),
                        value="style-layers",
                        label="Rows",
                        info="What varies from row to row",
                        elem_id="rows",
                    )
                    row_values = gr.Textbox(
                        "relu1_1, relu2_1, relu3_1, relu4_1, relu5_1",
                        label="Values",
                        info="Separated by commas; the usual ones when empty",
                        elem_id="row-values",
                    )
                with gr.Row():
                    columns = gr.Dropdown(
                        [NO_COLUMNS, *kinds],
                        value="iterations",
                        label="Columns",
                        info="What varies from column to column",
                        elem_id="columns",
                    )
                    column_values = gr.Textbox(
                        "10, 30, 60",
                        label="Values",
                        info="Separated by commas; the usual ones when empty",
                        elem_id="column-values",
                    )
                size, iterations = size_and_iterations(context, 192, 30)
                network = network_choice(context)
            with gr.Column(scale=1, min_width=340):
                job_controls = JobControls(context, "study", run, stop)
                grid = gr.Image(
                    label="The grid",
                    type="filepath",
                    image_mode=None,
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    elem_id="study-grid",
                )
                job_controls.status.render()
                with gr.Row():
                    download = gr.DownloadButton("Download the grid", interactive=False, elem_id="study-download")
                    figures = gr.DownloadButton("Download its data", interactive=False, elem_id="study-data")
                cells = as_paths(gr.Gallery(label="Pictures", visible=False))
                made = gr.State(Made())

    def study(
        request: gr.Request,
        content: str | None,
        style: str | None,
        synthesis: SynthesisName,
        rows: str,
        row_values: str,
        columns: str,
        column_values: str,
        network: str,
        **fields: Any,
    ) -> Iterator[Updates]:
        """Makes a labelled grid of syntheses."""

        def work(job: Job) -> Iterator[Updates]:
            axes = kinds[rows](row_values), None if columns == NO_COLUMNS else kinds[columns](column_values)
            count_cells(*axes)
            study = Study(
                context.network(network),
                Recipe.preset(synthesis, **fields),
                *axes,
                content=None if synthesis == "texture" else opened(content, "content"),
                styles=[] if synthesis == "reconstruction" else [opened(style, "style")],
                device=job.device,
            )
            within_limits(study, context)
            with tempfile.TemporaryDirectory() as folder:
                preview, numbers = Path(folder) / "study.jpg", Path(folder) / "study.json"
                yield {grid: as_file(sheet(study), preview), made: Made()}
                for step in steps(study, job):
                    update: Updates = {job_controls.status: status(step, job)}
                    yield update | ({grid: as_file(sheet(study), preview)} if step.finished else {})
                job.notes |= {"cells": len(study.cells), "size": max(study.size)}
                numbers.write_text(json.dumps(data(study), indent=2))
                saved = as_file(sheet(study), Path(folder) / "study.png")
                kept = sorted(place for place, cell in study.cells.items() if cell.image is not None)
                ended = f"{job.ending}: {len(kept)} images in {job.elapsed:.0f} s."
                yield {
                    grid: saved,
                    job_controls.status: f"{ended} {GO_ON}" if kept and synthesis == "transfer" else ended,
                    download: saved,
                    figures: str(numbers),
                    cells: [(_file(study, place, Path(folder)), _label(study, place)) for place in kept],
                    made: Made(content, style, [places(study)[place] for place in kept]),
                }

        yield from job_controls.run(request, work)

    def pick_cell(event: gr.SelectData, made: Made, cells: list[str]) -> list[Any]:
        x, y = event.index
        try:
            for (left, top, right, bottom), path in zip(made.boxes, cells, strict=False):
                if left <= x < right and top <= y < bottom:
                    return further.values(made.content, made.style, path)
            raise ToolkitError("Click on a picture of a finished grid.")
        except ToolkitError as error:
            raise gr.Error(str(error), print_exception=False) from error

    controls = {
        "content": content,
        "style": style,
        "synthesis": synthesis,
        "rows": rows,
        "row_values": row_values,
        "columns": columns,
        "column_values": column_values,
        "size": size,
        "iterations": iterations,
        "network": network,
    }
    outputs = [grid, job_controls.status, download, figures, cells, made]
    job_controls.connect(run.click, study, controls, outputs, api_name="study")
    picked = grid.select(pick_cell, [made, cells], further.outputs, api_visibility="private", show_progress="hidden")
    further.after(picked.success)
    usual = {name: [kind.usual] for name, kind in kinds.items()} | {NO_COLUMNS: [""]}
    follow(rows, usual, [row_values])
    follow(columns, usual, [column_values])


def _file(study: Study, place: Place, folder: Path) -> str:
    """One picture of a grid with its recipe, as a file in the folder."""
    path = folder / f"{'-'.join(map(str, place))}.png"
    study.cells[place].result.save(path)
    return str(path)


def _label(study: Study, place: Place) -> str:
    """The labels of its row and its column."""
    axes = zip((study.rows, study.columns), place, strict=True)
    return " · ".join(filter(None, (axis.variations[number].label for axis, number in axes)))


def _networks(context: Context) -> Kind:
    """The axis of the networks on offer here, and of no others."""
    return Kind(
        "network",
        ",".join(context.networks),
        lambda names: [Variation(name, network=context.network(name)) for name in names],
    )
