"""One synthesis for every pair of two things that vary, in one labelled picture."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from pydantic import model_validator

from ..errors import InputError
from ..fields import Photograph, described, field
from ..synthesis.recipe import Group, Recipe, SynthesisName
from .job import NetworkJob, Outcome, Output, keeping
from .recipes import recipe_field, with_recipe
from .synthesis import SYNTHESES

if TYPE_CHECKING:
    from ..studies import Step

#: Fields that differ from a synthesis' own: many small images in place of one.
USUAL = {"size": 256, "iterations": 100}


class LabelledStep(NamedTuple):
    """A step of a study, and the name of its cell."""

    label: str
    step: "Step"


class StudyJob(NetworkJob):
    """Vary a synthesis in two ways, and lay the results out in a labelled grid.

    Makes one picture for every pair of a row's and a column's value. Writes the labelled grid as a PNG, its recipes
    and losses as JSON beside it, and the pictures into a folder of its name. Ctrl-C keeps what is finished; the same
    command continues from there.

    The fields of a recipe are taken with the others.
    """

    images: tuple[Photograph, ...] = field(
        ..., "content image, if any, then style images", positional=True, metavar="image", min_length=1
    )
    rows: str = field(..., "such as iterations=25,50,100", metavar="AXIS=VALUES")
    columns: str | None = field(None, "such as style-layers (default: a single column)", metavar="AXIS=VALUES")
    output: Path = field(..., "PNG to write", **Output)
    synthesis: SynthesisName = field("transfer", "what to make")
    recipe: Recipe = recipe_field("transfer", get_args(Group), **USUAL)

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, fields: dict[str, Any]) -> dict[str, Any]:
        synthesis = fields.get("synthesis", "transfer")
        return with_recipe(fields, synthesis, USUAL) if synthesis in SYNTHESES else fields

    @property
    def content_and_styles(self) -> tuple[str | None, tuple[str, ...]]:
        """The content image and the style images, as many as the synthesis takes.

        Raises:
            InputError: when it takes more or fewer.
        """
        taken = {each.name: each for each in described(SYNTHESES[self.synthesis])}
        content, styles = (self.images[0], self.images[1:]) if "content" in taken else (None, self.images)
        most = int(taken["styles"].limits.get("max_length", len(styles))) if "styles" in taken else 0
        if "styles" in taken and not styles:
            raise InputError(f"For {self.synthesis} a style image is needed: name at least one.", "images")
        if len(styles) > most:
            raise InputError(f"A study of {self.synthesis} does not use {styles[most]}: remove it.", "images")
        return content, styles

    def run(self, progress: Callable[[LabelledStep], object] = lambda step: None) -> Outcome:
        if self.output.suffix.lower() != ".png":
            raise InputError(f"{self.output} must end in .png.", "output")
        content, styles = self.content_and_styles
        from ..device import find_device
        from ..files import check_outputs, written_atomically
        from ..pictures.io import open_image
        from ..studies import Study, data, parse_axis, picture
        from .cells import Folder

        rows, columns = parse_axis(self.rows), parse_axis(self.columns) if self.columns else None
        output, table = self.output, self.output.with_suffix(".json")
        check_outputs((output, table, output.with_suffix("") / output.name), self.images)
        folder = Folder(output.with_suffix(""), rows, columns)
        study = Study(
            self.load(),
            self.recipe,
            rows,
            columns,
            content=open_image(content) if content else None,
            styles=[open_image(style) for style in styles],
            device=find_device(self.device),
            kept=folder.read,
        )

        def write(_: BaseException | None = None) -> str:
            with written_atomically(output) as temporary:
                picture(study).save(temporary)
            with written_atomically(table) as temporary:
                temporary.write_text(json.dumps(data(study), indent=2), encoding="utf-8")
            return f"written to {output}, {table} and {folder.path}/"

        with keeping(write, "what is finished is kept; the same command continues from there."):
            for step in study:
                progress(LabelledStep(folder.name((step.row, step.column)), step))
                if step.finished and step.progress:  # not when it was kept, or failed
                    folder.write((step.row, step.column), step.finished)
        text = write()
        failed = {place: cell.error for place, cell in study.cells.items() if cell.error}
        return Outcome(text, failed=tuple(f"{folder.name(place)}: {why}" for place, why in failed.items()))
