"""Labelled sweeps: one synthesis for each pair of a row's and a column's variation (Gatys, Ecker & Bethge 2016)."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import ToolkitError
from ..images.io import to_picture
from ..images.sheet import Labels, grid
from ..network import Network
from ..synthesis import Progress, Recipe, Synthesis
from .axes import Axis, Variation

#: A cell's row and column, from 0.
Place = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """What came out of one synthesis.

    ``image`` is (1, 3, H, W) in [0, 1]; ``losses`` are those of the best image evaluated, before their weights.
    A synthesis that failed has no image, and says why in ``error``.
    """

    recipe: Recipe
    image: Tensor | None = None
    losses: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    @property
    def evaluations(self) -> int:
        """How many there were."""
        return self.recipe.evaluations


@dataclass(frozen=True)
class Step:
    """Where a study stands after an evaluation, made in the cell at ``row`` and ``column`` (from 0).

    ``progress`` is that of its synthesis; there is none for a cell that was kept, or failed. ``finished`` is the cell
    when this ended it. ``done`` counts the evaluations of the whole study, of ``total``.
    """

    row: int
    column: int
    progress: Progress | None
    finished: Cell | None
    done: int
    total: int


@dataclass
class _Run:
    """One synthesis, and the cells that are read off it on the way, by the evaluations they take."""

    network: Network
    recipe: Recipe
    stops: dict[Place, int] = field(default_factory=dict)


class Study:
    """A grid of syntheses. Iterate over it to run what is left of it; ``cells`` holds what is finished.

    Cells that differ in nothing but their number of evaluations are snapshots of one synthesis, which is then
    made at one size and in float32, so that each is what its own recipe gives.

    Args:
        network: of all cells whose variations name none.
        recipe: what the variations don't set.
        rows: what varies from row to row.
        columns: what varies from column to column; a single one when ``None``.
        content: (1, 3, H, W), RGB in [0, 1].
        styles: (1, 3, h, w) each.
        device: where to compute.
        memory: bytes to stay within.
        kept: the cell of a place and its recipe that an earlier study left; it is not made again.

    Raises:
        ToolkitError: when rows and columns vary the same, a variation is not valid, or there is no image.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        rows: Axis,
        columns: Axis | None = None,
        *,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        device: str | torch.device = "cpu",
        memory: int | None = None,
        kept: Callable[[Place, Recipe], Cell | None] = lambda place, recipe: None,
    ) -> None:
        self.rows, self.columns = rows, columns or Axis("", (Variation(""),))
        sets = [set().union(*(each.sets for each in axis.variations)) for axis in (self.rows, self.columns)]
        if both := sorted(set.intersection(*sets)):
            raise ToolkitError(f"Rows and columns both decide the {both[0]}: choose axes of different kinds.")
        images = [image for image in (content, *styles) if image is not None]
        if not images:
            raise ToolkitError("A study needs an image: name one.")
        self.cells: dict[Place, Cell] = {}
        self._make = functools.partial(Synthesis, content=content, styles=styles, device=device, memory=memory)
        self._kept = kept
        self._runs = self._plan(network, recipe)
        height, width = images[0].shape[-2:]
        scale = max(run.recipe.size for run in self._runs) / max(height, width)
        #: (height, width) of the largest cells.
        self.frame = max(1, round(height * scale)), max(1, round(width * scale))
        self.total = sum(run.recipe.evaluations for run in self._runs)

    def _plan(self, network: Network, recipe: Recipe) -> list[_Run]:
        """The syntheses to make, each with its cells."""
        treated = functools.cache(lambda treatment, network: treatment(network))
        runs: dict[tuple[Network, str], _Run] = {}
        for (row, across), (column, down) in itertools.product(
            enumerate(self.rows.variations), enumerate(self.columns.variations)
        ):
            wished = recipe.with_(**across.wishes, **down.wishes, made_from=None)
            chosen = across.network or down.network or network
            for treatment in filter(None, (across.treatment, down.treatment)):
                chosen = treated(treatment, chosen)
            chosen.architecture.down_to([*wished.content_layers, *wished.style_layers])  # refuses unknown layers
            key = chosen, wished.with_(evaluations=1).to_json()
            run = runs.setdefault(key, _Run(chosen, wished))
            run.stops[row, column] = wished.evaluations
            if wished.evaluations != run.recipe.evaluations:
                longest = max(run.stops.values())
                precision = "float32" if wished.precision == "mixed" else wished.precision
                run.recipe = wished.with_(evaluations=longest, levels=1, precision=precision)
        return list(runs.values())

    def __iter__(self) -> Iterator[Step]:
        """Makes what is not finished, yielding after every evaluation. A cell that fails is no reason to stop."""
        done = 0
        for run in self._runs:
            if not run.stops.keys() <= self.cells.keys():
                yield from self._run(run, done)
            done += run.recipe.evaluations

    def _run(self, run: _Run, before: int) -> Iterator[Step]:
        left = sorted(run.stops, key=run.stops.__getitem__)

        def finish(cell: Cell, evaluation: int, progress: Progress | None = None) -> Step:
            place = left.pop(0)
            self.cells[place] = cell
            return Step(*place, progress, cell, before + evaluation, self.total)

        try:
            synthesis = self._make(run.network, run.recipe)
            recipes = {place: synthesis.recipe.with_(evaluations=stop) for place, stop in run.stops.items()}
            kept = [self._kept(place, recipes[place]) for place in left]
            if None not in kept:
                for cell in filter(None, kept):
                    yield finish(cell, cell.evaluations)
                return
            coarse = sum(level.evaluations for level in synthesis.levels[:-1])
            least, losses = float("inf"), {}
            for progress in synthesis:
                if progress.evaluation > coarse and progress.objective < least:
                    least, losses = progress.objective, progress.losses
                if progress.evaluation < run.stops[left[0]]:
                    yield Step(*left[0], progress, None, before + progress.evaluation, self.total)
                while left and run.stops[left[0]] <= progress.evaluation:
                    cell = Cell(recipes[left[0]], synthesis.image, losses, progress.seconds)
                    yield finish(cell, progress.evaluation, progress)
        except ToolkitError as error:
            while left:
                recipe = run.recipe.with_(evaluations=run.stops[left[0]])
                yield finish(Cell(recipe, error=str(error)), run.recipe.evaluations)


def picture(study: Study) -> Image.Image:
    """The grid with its labels, cells that aren't finished left blank."""
    height, width = study.frame
    rows, columns = (
        Labels(axis.title, [each.label for each in axis.variations]) for axis in (study.rows, study.columns)
    )
    cells = {place: cell.error if cell.image is None else to_picture(cell.image) for place, cell in study.cells.items()}
    return grid(cells, rows, columns, (width, height))


def data(study: Study) -> dict[str, Any]:
    """A study as plain data for JSON: its axes, and the finished cells with their recipes and losses."""
    axes = {"rows": study.rows, "columns": study.columns}
    return {
        name: {
            "title": axis.title,
            "variations": [{"label": each.label, "wishes": each.wishes} for each in axis.variations],
        }
        for name, axis in axes.items()
    } | {
        "cells": [
            {
                "row": study.rows.variations[row].label,
                "column": study.columns.variations[column].label,
                "recipe": cell.recipe.model_dump(mode="json"),
                "losses": cell.losses,
                "seconds": cell.seconds,
                "error": cell.error,
            }
            for (row, column), cell in sorted(study.cells.items())
        ]
    }
