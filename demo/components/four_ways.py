"""Four small pictures of the same images with different settings, to choose one from."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from toolkit.pictures.io import to_picture
from toolkit.studies import Axis, Study, Variation, picture

from ..endpoints import Updates
from ..jobs import Job
from .images import as_file
from .live_image import HEIGHT
from .study_progress import ending, status, steps

#: Size in pixels and iterations of each: all four take seconds.
SMALL = {"size": 192, "iterations": 25}

#: By what varies, the fields of each.
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "strength and stroke size": {
        "gentle, fine": {"style_weight": 2.0, "style_scale": 0.6},
        "gentle, broad": {"style_weight": 2.0, "style_scale": 1.5},
        "strong, fine": {"style_weight": 100.0, "style_scale": 0.6},
        "strong, broad": {"style_weight": 100.0, "style_scale": 1.5},
    },
    "finish": {f"finish {finish:g}": {"finish": finish} for finish in (0.0, 0.3, 1.0, 3.0)},
    "style statistic": {name: {"style_statistic": name} for name in ("gram", "moments", "wasserstein", "sliced")},
    "seed, from noise": {f"seed {seed}": {"start": "noise", "seed": seed} for seed in range(4)},
}


class FourWays:
    """The button that starts and the choice of what varies; the gallery appears where its ``render`` is called."""

    def __init__(self) -> None:
        with gr.Row(equal_height=True):
            self.run = gr.Button("Try four ways", elem_id="ways", scale=1, min_width=100)
            ways = [(way.capitalize(), way) for way in WAYS]
            self.by = gr.Dropdown(ways, label="What varies", elem_id="ways-by", scale=2, min_width=260)
        self.sheet = gr.File(label="Four ways on one sheet", visible=False)
        self.gallery = gr.Gallery(
            label="Four ways",
            show_label=False,
            columns=2,
            rows=2,
            height=HEIGHT,
            object_fit="contain",
            allow_preview=False,
            interactive=False,
            buttons=[],
            elem_id="ways-gallery",
            render=False,
        )

    def fields(self, label: str) -> dict[str, Any]:
        """What the way of that label sets."""
        return next(ways[label] for ways in WAYS.values() if label in ways)

    def make(self, by: str, study: Callable[[Axis], Study], job: Job, line: Any) -> Iterator[Updates]:
        """Makes the four pictures.

        Args:
            by: what varies.
            study: makes the study of an axis.
            job: the running job.
            line: the status line.
        """
        ways = study(Axis(by, tuple(Variation(label, fields) for label, fields in WAYS[by].items())))
        with tempfile.TemporaryDirectory() as folder:
            for step in steps(ways, job):
                yield {self.gallery: _pictures(ways, Path(folder)), line: status(step, job)}
            ended = ending(ways, job)
            yield {
                self.gallery: _pictures(ways, Path(folder)),
                line: f"{ended} Click one to go on from it.",
                self.sheet: as_file(picture(ways), Path(folder) / "ways.png"),
            }


def _pictures(study: Study, folder: Path) -> list[tuple[str, str]]:
    made: Mapping[Any, Any] = study.cells
    return [
        (as_file(to_picture(cell.image), folder / f"{row}.png"), study.rows.variations[row].label)
        for (row, _), cell in made.items()
        if cell.image is not None
    ]
