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
from ..components.finished import MADE_BEFORE
from ..components.finished import sheet as finished_sheet
from ..components.images import as_file, examples, image_input, named, opened
from ..components.job_controls import JobControls, start_and_stop
from ..components.study_progress import check_limits, count_cells, status, steps
from ..components.tour import add_tour
from ..context import Context
from ..endpoints import Updates, listen
from ..examples.finished import WHY
from ..jobs import Job
from ..tours import why_normalise
from .transfer import TransferTab

#: The syntheses that a study can be made of.
SYNTHESES = ("transfer", "reconstruction", "texture")

NO_COLUMNS = "nothing"

GO_ON = "Click on a picture that a normalised network made to go on from it in the Transfer tab."


class Made(NamedTuple):
    """What a finished grid was made from, and where its pictures are in it: (left, top, right, bottom) in pixels."""

    content: str | None = None
    style: str | None = None
    boxes: Sequence[tuple[int, int, int, int]] = ()


INTRODUCTION = """\
Vary one thing from row to row and another from column to column: style layers and iterations, content layers and the
weight of the style, or the normalised network and the original.
"""


def study_tab(context: Context, transfer: TransferTab) -> None:
    """Fills the current ``gr.Tab``; a click on a picture of the grid goes on from it in the Transfer tab."""
    kinds = AXES | {"network": _networks(context)}
    gr.Markdown(INTRODUCTION)
    add_tour(context, why_normalise(context))
    with gr.Row():
        with gr.Column(scale=1, min_width=340):
            photograph = named(context.photographs, WHY.photograph)
            painting = named(context.paintings, WHY.style)
            with gr.Row():
                content = image_input("Content", "The content image", photograph, "study-content")
                style = image_input("Style", "The style image", painting, "study-style")
            run, stop = start_and_stop("Make the grid", "study", "study-stop")
            examples("Photographs", context.photographs, content)
            examples("Styles", context.paintings, style)
            synthesis = gr.Radio(list(SYNTHESES), value="transfer", label="Synthesis")
            rows, row_values = _axis("row", list(kinds), *WHY.rows)
            columns, column_values = _axis("column", [NO_COLUMNS, *kinds], *WHY.columns)
            size, iterations = size_and_iterations(context, WHY.recipe.size, WHY.recipe.iterations)
            network = network_choice(context)
        with gr.Column(scale=1, min_width=340):
            finished, boxes = finished_sheet(context.photographs, WHY)
            status_line = f"{MADE_BEFORE.format(WHY.recipe.size, 'Make the grid')} {GO_ON}"
            job_controls = JobControls(context, "study", run, stop, status=status_line)
            grid = gr.Image(
                finished,
                label="The grid",
                interactive=False,
                buttons=["download", "fullscreen"],
                elem_id="study-grid",
            )
            job_controls.status.render()
            with gr.Row():
                download = gr.DownloadButton("Download the grid", finished, elem_id="study-download")
                figures = gr.DownloadButton("Download its data", interactive=False, elem_id="study-data")
            cells = gr.Gallery(WHY.labelled, label="Pictures", visible=False)
            made = gr.State(Made(photograph, painting, boxes))

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
            check_limits(study, context)
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

    def pick_cell(event: gr.SelectData, made: Made, cells: list[str]) -> Updates:
        x, y = event.index
        for (left, top, right, bottom), path in zip(made.boxes, cells, strict=False):
            if left <= x < right and top <= y < bottom:
                return transfer.from_elsewhere(made.content, made.style, path)
        raise ToolkitError("Click on a picture of a finished grid.")

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
    job_controls.offer(study, controls, download, figures, cells)
    job_controls.connect(run.click, study, controls, outputs)
    clicked = {"made": made, "cells": cells}
    picked = listen(grid.select, pick_cell, clicked, transfer.elsewhere, show_progress="hidden")
    transfer.go_on_after(picked.success)
    usual = {name: [kind.usual] for name, kind in kinds.items()} | {NO_COLUMNS: [""]}
    follow(rows, usual, [row_values])
    follow(columns, usual, [column_values])


def _axis(name: str, choices: list[str], value: str, values: str) -> tuple[gr.Dropdown, gr.Textbox]:
    """What varies from row to row or from column to column, and its values."""
    hint = "Separated by commas; the usual ones when empty"
    with gr.Row():
        return (
            gr.Dropdown(
                choices,
                value=value,
                label=f"{name.capitalize()}s",
                info=f"What varies from {name} to {name}",
                elem_id=f"{name}s",
            ),
            gr.Textbox(values, label="Values", info=hint, elem_id=f"{name}-values"),
        )


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
