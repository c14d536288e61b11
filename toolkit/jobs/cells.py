"""A study's pictures on disk, so that it goes on from what is there."""

import json
from pathlib import Path
from urllib.parse import quote

from ..errors import ToolkitError
from ..files import written_atomically
from ..studies import Axis, Cell, Place
from ..synthesis import MadeFrom, Recipe, Result


class Folder:
    """A study's cells, named after its axes: each a PNG with its recipe, and beside it what the recipe doesn't tell."""

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
