"""A grid of syntheses, one for each pair of a row's and a column's variation."""

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import ToolkitError
from ..network import Backbone, check_layers
from ..pictures.io import to_picture
from ..pictures.sheet import Labels, boxes, grid
from ..synthesis import Inputs, MadeFrom, Progress, Recipe, Result, Synthesis
from ..synthesis.pyramid import size_of
from .axes import Axis, Variation

#: A cell's row and column, from 0.
Place = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """The result of one synthesis.

    ``image``: (1, 3, H, W) in [0, 1]. ``losses``: those of the best iteration, before their weights. A synthesis that
    failed has no image; ``error`` says why.
    """

    recipe: Recipe
    image: Tensor | None = None
    losses: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    made_from: MadeFrom | None = None

    @property
    def result(self) -> Result:
        """What was made; of a cell that has an image."""
        assert self.image is not None
        return Result(self.image, self.recipe, self.made_from, self.losses)


@dataclass(frozen=True)
class Step:
    """Progress of a study after an iteration in the cell at ``row`` and ``column``, from 0.

    ``progress``: of the cell's synthesis; ``None`` for a cell that was kept or failed. ``finished``: the cell, when
    this iteration was its last. ``done``: iterations of the whole study so far, of ``total``.
    """

    row: int
    column: int
    progress: Progress | None
    finished: Cell | None
    done: int
    total: int


@dataclass(frozen=True)
class _Run:
    """One synthesis, and the recipes of the cells that it makes on its way, fewest iterations first."""

    network: Backbone
    made_from: MadeFrom
    recipes: dict[Place, Recipe]

    @property
    def recipe(self) -> Recipe:
        return next(reversed(self.recipes.values()))


class Study:
    """A grid of syntheses. Iterate over it to make what is missing; ``cells`` holds what is finished.

    Cells that differ in their number of iterations only are snapshots of one synthesis, at one size and in float32.
    Each is what its own recipe makes, except that L-BFGS keeps more pairs when more iterations follow.

    >>> import torch
    >>> from toolkit.network import load_network
    >>> from toolkit.studies import parse_axis
    >>> recipe = Recipe.preset("reconstruction", size=32)
    >>> rows, columns = parse_axis("content-layers=relu1_2,relu2_2"), parse_axis("iterations=1,2")
    >>> study = Study(load_network("vgg19-small"), recipe, rows, columns, content=torch.rand(1, 3, 32, 32))
    >>> for step in study:
    ...     print(step.row, step.column, step.done, step.finished is not None)
    0 0 1 True
    0 1 2 True
    1 0 3 True
    1 1 4 True

    Args:
        network: of the cells whose variations set no other.
        recipe: the fields that no variation sets.
        rows: what varies from row to row.
        columns: what varies from column to column; a single column when ``None``.
        inputs: what every cell is made from; or else the images by name, as ``Inputs`` takes them.
        device: where to compute.
        memory: bytes to stay within; what the device has free when it is not said.
        kept: returns the finished cell of a place, if there is one of that recipe, made from that; it is not made
            again.

    Raises:
        ToolkitError: when rows and columns set the same, a variation is not valid, or there is no image.
    """

    def __init__(
        self,
        network: Backbone,
        recipe: Recipe,
        rows: Axis,
        columns: Axis | None = None,
        inputs: Inputs | None = None,
        *,
        device: str | torch.device = "cpu",
        memory: float | None = None,
        kept: Callable[[Place, Recipe, MadeFrom], Cell | None] = lambda place, recipe, made_from: None,
        **images: Any,
    ) -> None:
        self.rows, self.columns = rows, columns or Axis("", (Variation(""),))
        sets = [set().union(*(variation.sets for variation in axis.variations)) for axis in (self.rows, self.columns)]
        if both := sorted(set.intersection(*sets)):
            raise ToolkitError(f"Rows and columns both set the {both[0]}: choose axes of different kinds.")
        self._inputs = inputs or Inputs(**images)
        self.cells: dict[Place, Cell] = {}
        self._device, self._memory, self._kept = device, memory, kept
        self._runs = self._plan(network, recipe)
        proportions, recipes = self._inputs.proportions, [run.recipe for run in self._runs]
        #: (height, width) of the largest cells.
        self.size = max((size_of(proportions, each.size, each.seamless) for each in recipes), key=max)
        self.total = sum(each.iterations for each in recipes)

    def _plan(self, network: Backbone, recipe: Recipe) -> list[_Run]:
        """The syntheses to make, without making them."""
        treated = functools.cache(lambda treatment, network: treatment(network))
        made_from = functools.cache(self._inputs.made_from)
        groups: dict[tuple[Backbone, str], dict[Place, Recipe]] = {}
        for (row, across), (column, down) in itertools.product(
            enumerate(self.rows.variations), enumerate(self.columns.variations)
        ):
            chosen = across.network or down.network or network
            for treatment in filter(None, (across.treatment, down.treatment)):
                chosen = treated(treatment, chosen)
            own = recipe.with_(**across.fields, **down.fields)
            check_layers(chosen, [*own.content_layers, *own.style_layers])
            groups.setdefault((chosen, own.with_(iterations=1).to_json()), {})[row, column] = own
        return [_Run(network, made_from(network), _snapshots(recipes)) for (network, _), recipes in groups.items()]

    def __iter__(self) -> Iterator[Step]:
        """Makes what is not finished; yields after every iteration. When a cell fails, the others are still made."""
        done = 0
        for run in self._runs:
            if not run.recipes.keys() <= self.cells.keys():
                yield from self._run(run, done)
            done += run.recipe.iterations

    def _run(self, run: _Run, before: int) -> Iterator[Step]:
        left = deque(run.recipes.items())

        def finish(cell: Cell, done: int, progress: Progress | None = None) -> Step:
            place, _ = left.popleft()
            self.cells[place] = cell
            return Step(*place, progress, cell, before + done, self.total)

        kept = [self._kept(place, recipe, run.made_from) for place, recipe in left]
        if None not in kept:
            for cell in filter(None, kept):
                yield finish(cell, cell.recipe.iterations)
            return
        try:
            synthesis = Synthesis(run.network, run.recipe, self._inputs, device=self._device, memory=self._memory)
            for progress in synthesis:
                done = progress.iteration + synthesis.skipped
                if done < left[0][1].iterations:
                    yield Step(*left[0][0], progress, None, before + done, self.total)
                while left and left[0][1].iterations <= done:
                    made = synthesis.result
                    cell = Cell(left[0][1], made.image, made.losses, progress.seconds, made_from=made.made_from)
                    yield finish(cell, done, progress)
        except ToolkitError as error:
            while left:
                yield finish(Cell(left[0][1], error=str(error), made_from=run.made_from), run.recipe.iterations)


def _snapshots(recipes: dict[Place, Recipe]) -> dict[Place, Recipe]:
    """The recipes of the cells that one synthesis makes on its way, fewest iterations first."""
    ordered = dict(sorted(recipes.items(), key=lambda item: item[1].iterations))
    if len({recipe.iterations for recipe in ordered.values()}) == 1:
        return ordered
    alike = {"levels": 1, "finish": 0.0}  # one stage from the first iteration to the last
    return {
        place: recipe.with_(**alike, precision="float32" if recipe.precision == "mixed" else recipe.precision)
        for place, recipe in ordered.items()
    }


def picture(study: Study) -> Image.Image:
    """The labelled grid; cells that are not finished are blank."""
    cells = {place: cell.error if cell.image is None else to_picture(cell.image) for place, cell in study.cells.items()}
    return grid(cells, *_labels(study))


def places(study: Study) -> dict[Place, tuple[int, int, int, int]]:
    """Where ``picture`` draws each cell: (left, top, right, bottom) in pixels."""
    return boxes(*_labels(study))


def _labels(study: Study) -> tuple[Labels, Labels, tuple[int, int]]:
    """Those of rows and columns, and the width and height of a cell."""
    rows, columns = (
        Labels(axis.title, [variation.label for variation in axis.variations]) for axis in (study.rows, study.columns)
    )
    height, width = study.size
    return rows, columns, (width, height)


def data(study: Study) -> dict[str, Any]:
    """A study for JSON: its axes, and the recipes and losses of the finished cells."""
    axes = {
        name: {
            "title": axis.title,
            "variations": [{"label": varied.label, "fields": varied.fields} for varied in axis.variations],
        }
        for name, axis in (("rows", study.rows), ("columns", study.columns))
    }
    cells = [
        {
            "row": study.rows.variations[row].label,
            "column": study.columns.variations[column].label,
            "recipe": cell.recipe.model_dump(mode="json"),
            "made_from": cell.made_from and cell.made_from.model_dump(mode="json"),
            "losses": cell.losses,
            "seconds": cell.seconds,
            "error": cell.error,
        }
        for (row, column), cell in sorted(study.cells.items())
    ]
    return {**axes, "cells": cells}
