"""The guided tours. The Markdown files here hold their words; here is what they make, by the quickest network.

A file has the tour's title, a section for each part, and the last words under "Download". A part asks a question, and
below the words on its button tells what is to be seen.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from toolkit.pictures.io import to_picture
from toolkit.pictures.sheet import Labels, grid
from toolkit.studies import AXES, Axis, Study, Variation
from toolkit.synthesis import Recipe

from ..components.atlas import Atlases
from ..components.images import named, opened
from ..components.study_progress import status, steps
from ..components.tour import Part, Shown, Tour
from ..context import Context
from ..jobs import Job
from ..lent_gpu import multiplications

#: Longest side of the pictures in pixels, and their iterations: a sheet takes seconds.
SIZE, ITERATIONS = 192, 50

#: Most channels of a layer on a sheet: two rows of them.
CHANNELS = 16

#: The only row of a sheet.
ONE = Axis("", (Variation(""),))

#: The layers of the tour of units.
LAYERS = ("relu1_1", "relu3_1", "relu5_1")


def figure_one(context: Context) -> Tour:
    """What each layer keeps of an image (Gatys, Ecker & Bethge 2016, figure 1)."""
    photograph, painting = named(context.photographs, "chelsea"), named(context.paintings, "night_swirls")

    def content(job: Job) -> Iterator[Shown]:
        cat = opened(photograph, "content")
        study = _study(context, job, "reconstruction", ONE, AXES["content-layers"](), content=cat)
        yield from _shown(study, job, {"photograph": [cat]})

    def style(job: Job) -> Iterator[Shown]:
        night = opened(painting, "style")
        study = _study(context, job, "texture", ONE, AXES["style-layers"](), styles=[night])
        yield from _shown(study, job, {"painting": [night]})

    return _told("figure1", content, style)


def why_normalise(context: Context) -> Tour:
    """The same transfer with the network as it was trained, and with the normalised one."""
    photograph, painting = named(context.photographs, "rocket"), named(context.paintings, "night_swirls")

    def both(job: Job) -> Iterator[Shown]:
        content, style = opened(photograph, "content"), opened(painting, "style")
        rows, columns = AXES["normalization"]("original,normalised"), AXES["style-weight"]("1,10,100")
        study = _study(context, job, "transfer", rows, columns, content=content, styles=[style])
        yield from _shown(study, job, {"made from": [content, style]})

    return _told("normalise", both)


def units(context: Context, atlases: Atlases) -> Tour:
    """What single channels look for (Zeiler & Fergus 2013)."""
    network = context.default if context.atlas else _quickest(context)

    def strongest(layer: str, job: Job) -> Iterator[Shown]:
        for step in atlases.make(network, job):
            yield None, f"Image {step.done} of {step.total}"
        if network not in atlases.made:
            return
        atlas = atlases.made[network]
        count = atlas.channels(layer)
        chosen = range(0, count, max(count // CHANNELS, 1))[:CHANNELS]
        yield atlas.picture(layer, chosen), ""

    return _told("units", *(functools.partial(strongest, layer) for layer in LAYERS))


def _told(name: str, *sheets: Callable[[Job], Iterator[Shown]]) -> Tour:
    """A tour in the words of its file, whose parts make these sheets."""
    text = Path(__file__).with_name(f"{name}.md").read_text(encoding="utf-8")
    title, *sections = text.removeprefix("# ").split("\n## ")
    *parts, (_, ending) = (section.split("\n", 1) for section in sections)
    told = []
    for (heading, words), sheet in zip(parts, sheets, strict=True):
        question, answer = words.split("\n### ")
        do, seen = answer.split("\n", 1)
        told.append(Part(heading, question, do, sheet, seen))
    return Tour(name, title.strip(), tuple(told), ending)


def _quickest(context: Context) -> str:
    return min(context.networks, key=lambda name: multiplications(context.networks[name].architecture))


def _study(context: Context, job: Job, synthesis: Any, rows: Axis, columns: Axis, **images: Any) -> Study:
    recipe = Recipe.preset(synthesis, **context.settings.within(SIZE, ITERATIONS))
    return Study(context.network(_quickest(context)), recipe, rows, columns, **images, device=job.device)


def _shown(study: Study, job: Job, originals: Mapping[str, Sequence[Tensor]]) -> Iterator[Shown]:
    """The sheet of a study, with the images that it is made from in a first column under its label."""
    ((label, images),) = originals.items()
    first = {(row, 0): to_picture(image) for row, image in enumerate(images)}
    rows = Labels(study.rows.title, [each.label for each in study.rows.variations])
    columns = Labels(study.columns.title, [label, *(each.label for each in study.columns.variations)])
    sheet = None
    for step in steps(study, job):
        if step.finished or sheet is None:
            made = {
                (row, column + 1): cell.error if cell.image is None else to_picture(cell.image)
                for (row, column), cell in study.cells.items()
            }
            sheet = grid(first | made, rows, columns, study.size[::-1])
        yield sheet, status(step, job)
