"""The strip of the page's finished examples."""

from pathlib import Path

import gradio as gr
from PIL import Image

from ..examples.finished import FINISHED, Finished
from .images import as_file, named, strip


def finished_strip() -> gr.Gallery:
    """The finished examples."""
    return strip([str(each.path) for each in FINISHED], len(FINISHED), elem_id="finished")


def pairs(photographs: list[str]) -> list[tuple[str, str]]:
    """The finished examples before and after, both of one size, as files beside the photographs."""
    return [_pair(named(photographs, each.photograph), each) for each in FINISHED]


def _pair(photograph: str, each: Finished) -> tuple[str, str]:
    with Image.open(each.path) as after, Image.open(photograph) as before:
        resized = before.resize(after.size, Image.Resampling.LANCZOS)
    return as_file(resized, Path(photograph).with_name(f"before-{each.path.name}")), str(each.path)
