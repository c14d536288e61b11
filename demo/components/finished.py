"""The finished pictures that tabs open with."""

from pathlib import Path

import gradio as gr
from PIL import Image

from toolkit.pictures.sheet import Labels, boxes, grid

from ..examples import thumbnail
from ..examples.finished import FINISHED, Finished, Grid
from .images import as_file, named, strip

#: The status of a finished picture: its size in pixels, and what starts one.
MADE_BEFORE = "Made by VGG-19 at {} pixels. Press **{}** to watch it happen."


def finished_strip() -> gr.Gallery:
    """The finished examples."""
    return strip([thumbnail(str(each.path)) for each in FINISHED], len(FINISHED), elem_id="finished")


def pair(photographs: list[str], each: Finished) -> tuple[str, str]:
    """A finished example before and after, both of one size, as files; the first one beside the photographs."""
    photograph = named(photographs, each.photograph)
    with Image.open(each.path) as after, Image.open(photograph) as before:
        resized = before.resize(after.size, Image.Resampling.LANCZOS)
    return as_file(resized, Path(photograph).with_name(f"before-{each.path.name}")), str(each.path)


def sheet(photographs: list[str], each: Grid) -> tuple[str, list[tuple[int, int, int, int]]]:
    """A finished study as one labelled file beside the photographs, and where its pictures are in it."""
    rows, columns = (Labels(axis.title, [varied.label for varied in axis.variations]) for axis in each.axes)
    pictures = {place: Image.open(path) for place, path in each.paths.items()}
    size = next(iter(pictures.values())).size
    path = Path(photographs[0]).with_name(f"{each.rows[0]}.png")
    return as_file(grid(pictures, rows, columns, size), path), list(boxes(rows, columns, size).values())
