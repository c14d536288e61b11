"""``study``: one synthesis for every pair of two things that vary, in one labelled picture."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from tqdm import tqdm

from ..device import available
from ..errors import ToolkitError
from ..files import written_atomically
from ..images.io import open_image, read_recipe, save_png
from ..studies import AXES, Axis, Cell, Study, data, parse_axis, picture
from ..studies.grid import Place
from ..synthesis import Recipe
from ..synthesis.optimizers import OPTIMIZERS
from ..synthesis.recipe import Start
from .common import add_network_options, device, network
from .synthesize import COMMANDS, layers, recipe_text

SYNTHESES = {command.synthesis: command for command in COMMANDS.values()}

#: The recipe's fields that have an option of their name.
OVERRIDES = (
    "size",
    "evaluations",
    "seed",
    "start",
    "optimizer",
    "content_layers",
    "style_layers",
    "content_weight",
    "style_weight",
)

#: Where they differ from the recipe's: many small pictures in place of one.
DEFAULTS = {"size": 256, "evaluations": 100}


def add_commands(commands: Any) -> None:
    """Adds ``study``."""
    usual = "\n".join(f"  {name}={kind.usual}" for name, kind in AXES.items())
    parser = commands.add_parser(
        "study",
        help="vary a synthesis in two ways, and lay the results out in a labelled grid",
        description="Makes one picture for every pair of a row's and a column's value. Writes the labelled grid as a\n"
        "PNG, its recipes and losses as JSON beside it, and the pictures into a folder of its name. Ctrl-C keeps\n"
        "what is finished; the same command goes on from there.",
        epilog=f"axes, with the values that they have when none are named:\n{usual}\n"
        "style-layers takes each layer together with those before it, style-layer each alone.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pictures", nargs="+", metavar="picture", help="the content image, if any, then style images")
    parser.add_argument("--rows", required=True, metavar="AXIS=VALUES", help="such as iterations=25,50,100")
    parser.add_argument("--columns", metavar="AXIS=VALUES", help="such as style-layers (default: a single column)")
    parser.add_argument("--output", "-o", type=Path, required=True, metavar="FILE", help="the PNG to write")
    parser.add_argument("--synthesis", choices=SYNTHESES, help="what to make (default: transfer)")
    parser.add_argument("--recipe", metavar="FILE", help="take the rest from a PNG of ours or a JSON file")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="longest side of each (default: 256)")
    parser.add_argument("--evaluations", type=int, metavar="N", help="how long each (default: 100)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the noise (default: 0)")
    parser.add_argument("--start", choices=get_args(Start)[:-1], help="where to start")
    parser.add_argument("--content-layers", type=layers, metavar="LAYERS", help="such as relu4_2")
    parser.add_argument("--style-layers", type=layers, metavar="LAYERS", help="such as relu1_1,relu2_1")
    parser.add_argument("--content-weight", type=float, metavar="ALPHA", help="(default: 1)")
    parser.add_argument("--style-weight", type=float, metavar="BETA", help="(default: 100)")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="(default: lbfgs)")
    add_network_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Makes what is missing of a study, and writes all of it however it ends."""
    output: Path = arguments.output
    if output.suffix.lower() != ".png":
        raise ToolkitError(f"{output} must end in .png.")
    rows = parse_axis(arguments.rows)
    columns = parse_axis(arguments.columns) if arguments.columns else None
    for variation in [*rows.variations, *(columns.variations if columns else ())]:
        if variation.note:
            print(f"note: {variation.label} {variation.note}", file=sys.stderr)
    recipe = _recipe(arguments)
    content, styles = _pictures(arguments.pictures, recipe)
    chosen, where = network(arguments), device(arguments.device)
    folder = Folder(output.with_suffix(""), rows, columns)
    study = Study(
        chosen,
        recipe,
        rows,
        columns,
        content=open_image(content) if content else None,
        styles=[open_image(style) for style in styles],
        device=where,
        memory=available(where),
        kept=folder.read,
    )
    status = 0
    try:
        with tqdm(total=study.total, unit="evaluation") as bar:
            for step in study:
                bar.set_postfix_str(folder.name((step.row, step.column)), refresh=False)
                bar.update(step.done - bar.n)
                if step.finished and step.progress:  # not when it was kept, or failed
                    folder.write((step.row, step.column), step.finished)
    except KeyboardInterrupt:
        print("Interrupted: keeping what is finished; the same command goes on from there.", file=sys.stderr)
        status = 130
    finally:
        with written_atomically(output) as temporary:
            picture(study).save(temporary)
        with written_atomically(output.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(data(study), indent=2), encoding="utf-8")
        print(f"written to {output}, {output.with_suffix('.json')} and {folder.path}/")
    failed = {place: cell.error for place, cell in study.cells.items() if cell.error}
    for place, error in failed.items():
        print(f"not made: {folder.name(place)}: {error}", file=sys.stderr)
    return status or (2 if failed else 0)


class Folder:
    """A study's cells on disk, each a PNG with its recipe and beside it what its recipe doesn't tell.

    Args:
        path: the folder.
        rows: what names the cells, together with
        columns: likewise.
    """

    def __init__(self, path: Path, rows: Axis, columns: Axis | None) -> None:
        self.path = path
        self._axes = [axis for axis in (rows, columns) if axis]

    def name(self, place: Place) -> str:
        """What a cell is called: its labels."""
        return ", ".join(axis.variations[n].label for axis, n in zip(self._axes, place, strict=False))

    def read(self, place: Place, recipe: Recipe) -> Cell | None:
        """The cell there, if it is there and of that recipe."""
        image, facts = self._files(place)
        try:
            if read_recipe(image) == recipe.to_json():
                return Cell(recipe, open_image(image), **json.loads(facts.read_text(encoding="utf-8")))
        except (ToolkitError, OSError, ValueError, TypeError):
            pass  # missing or damaged: it is made again
        return None

    def write(self, place: Place, cell: Cell) -> None:
        """Keeps a cell.

        Raises:
            ToolkitError: when it can't be written.
        """
        assert cell.image is not None
        image, facts = self._files(place)
        with written_atomically(facts) as temporary:
            temporary.write_text(json.dumps({"losses": cell.losses, "seconds": cell.seconds}), encoding="utf-8")
        save_png(cell.image, image, cell.recipe.to_json())

    def _files(self, place: Place) -> tuple[Path, Path]:
        stem = quote(self.name(place), safe=" +,")  # labels may be paths
        return self.path / f"{stem}.png", self.path / f"{stem}.json"


def _recipe(arguments: argparse.Namespace) -> Recipe:
    wishes = {name: value for name in OVERRIDES if (value := getattr(arguments, name)) is not None}
    if arguments.recipe is None:
        return Recipe.preset(arguments.synthesis or "transfer", **{**DEFAULTS, **wishes})
    recipe = Recipe.from_json(recipe_text(Path(arguments.recipe)))
    if arguments.synthesis not in (None, recipe.synthesis):
        raise ToolkitError(f"{arguments.recipe} is the recipe of a {recipe.synthesis}: leave out --synthesis.")
    return recipe.with_(**wishes)


def _pictures(names: Sequence[str], recipe: Recipe) -> tuple[str | None, Sequence[str]]:
    """The content image and the style images, as many as the synthesis takes."""
    command = SYNTHESES[recipe.synthesis]
    content, styles = (names[0], names[1:]) if command.takes_content else (None, names)
    if command.takes_style and not styles:
        raise ToolkitError(f"For {recipe.synthesis} a style image is needed: name at least one.")
    return content, styles
