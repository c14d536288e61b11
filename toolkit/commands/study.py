"""``study``: one synthesis for every pair of two things that vary, in one labelled picture."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tqdm import tqdm

from ..device import find_device
from ..errors import ToolkitError
from ..files import check_outputs, written_atomically
from ..pictures.io import open_image
from ..studies import AXES, Axis, Cell, Study, data, parse_axis, picture
from ..studies.grid import Place
from ..synthesis import MadeFrom, Recipe, Result
from .common import add_network_options, add_output_option, network
from .recipe_options import add_recipe_options, chosen_recipe
from .synthesize import COMMANDS

SYNTHESES = {command.synthesis: command for command in COMMANDS.values()}

#: Fields that differ from the recipe's: many small images in place of one.
USUAL = {"size": 256, "iterations": 100}


def add_commands(commands: Any) -> None:
    """Adds ``study``."""
    axes = "\n".join(f"  {name}={kind.usual}\n      {kind.help}" for name, kind in AXES.items())
    parser = commands.add_parser(
        "study",
        help="vary a synthesis in two ways, and lay the results out in a labelled grid",
        description="Makes one picture for every pair of a row's and a column's value. Writes the labelled grid as a\n"
        "PNG, its recipes and losses as JSON beside it, and the pictures into a folder of its name. Ctrl-C keeps\n"
        "what is finished; the same command continues from there.",
        epilog=f"axes, and the values they have when none are given:\n{axes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="+", metavar="image", help="content image, if any, then style images")
    parser.add_argument("--rows", required=True, metavar="AXIS=VALUES", help="such as iterations=25,50,100")
    parser.add_argument("--columns", metavar="AXIS=VALUES", help="such as style-layers (default: a single column)")
    add_output_option(parser, "PNG to write")
    parser.add_argument("--synthesis", choices=SYNTHESES, default="transfer", help="what to make (default: transfer)")
    add_network_options(parser)
    add_recipe_options(parser, Recipe.preset("transfer", **USUAL))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Makes the missing pictures of a study, and writes what there is however it ends."""
    output: Path = arguments.output
    if output.suffix.lower() != ".png":
        raise ToolkitError(f"{output} must end in .png.")
    written = (output, output.with_suffix(".json"), output.with_suffix("") / output.name)
    check_outputs(written, arguments.images)
    rows = parse_axis(arguments.rows)
    columns = parse_axis(arguments.columns) if arguments.columns else None
    recipe = chosen_recipe(arguments, arguments.synthesis, **USUAL)
    content, styles = _split(arguments.images, recipe)
    chosen = network(arguments)
    folder = Folder(output.with_suffix(""), rows, columns)
    study = Study(
        chosen,
        recipe,
        rows,
        columns,
        content=open_image(content) if content else None,
        styles=[open_image(style) for style in styles],
        device=find_device(arguments.device),
        kept=folder.read,
    )
    status = 0
    try:
        with tqdm(total=study.total, unit="iteration") as bar:
            for step in study:
                bar.set_postfix_str(folder.name((step.row, step.column)), refresh=False)
                bar.update(step.done - bar.n)
                if step.finished and step.progress:  # not when it was kept, or failed
                    folder.write((step.row, step.column), step.finished)
    except KeyboardInterrupt:
        print("Interrupted: what is finished is kept; the same command continues from there.", file=sys.stderr)
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

    def read(self, place: Place, recipe: Recipe, made_from: MadeFrom) -> Cell | None:
        """The cell there, if it is there, of that recipe, and made from that."""
        image, facts = self._files(place)
        try:
            kept = Result.read(image)
            if (kept.recipe, kept.made_from) == (recipe, made_from):
                more = json.loads(facts.read_text(encoding="utf-8"))
                return Cell(recipe, kept.image, **more, made_from=made_from)
        except (ToolkitError, OSError, ValueError, TypeError):
            pass  # missing or damaged: it is made again
        return None

    def write(self, place: Place, cell: Cell) -> None:
        """Keeps a cell.

        Raises:
            ToolkitError: when it can't be written.
        """
        image, facts = self._files(place)
        with written_atomically(facts) as temporary:
            temporary.write_text(json.dumps({"losses": cell.losses, "seconds": cell.seconds}), encoding="utf-8")
        cell.result.save(image)

    def _files(self, place: Place) -> tuple[Path, Path]:
        stem = quote(self.name(place), safe=" +,")  # labels may be paths
        return self.path / f"{stem}.png", self.path / f"{stem}.json"


def _split(names: Sequence[str], recipe: Recipe) -> tuple[str | None, Sequence[str]]:
    """The content image and the style images, as many as the synthesis takes."""
    command = SYNTHESES[recipe.synthesis]
    content, styles = (names[0], names[1:]) if command.takes_content else (None, names)
    if command.most_styles and not styles:
        raise ToolkitError(f"For {recipe.synthesis} a style image is needed: name at least one.")
    if len(styles) > command.most_styles:
        raise ToolkitError(f"{styles[command.most_styles]} has no part in a {recipe.synthesis}: leave it out.")
    return content, styles
