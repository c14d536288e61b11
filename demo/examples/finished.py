"""The finished pictures that the page's tabs open with. `python -m demo.examples.finished` makes them anew."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from demo.examples import EXAMPLES, clip_file, content_files, style_files
from demo.examples.measured import keep
from toolkit.jobs.synthesis import Transfer
from toolkit.network import DEFAULT_NETWORK
from toolkit.normalize import load_normalized
from toolkit.pictures.io import open_image, to_picture
from toolkit.studies import AXES, Axis, Place, Study, Variation
from toolkit.synthesis import Recipe, Synthesis
from toolkit.synthesis.recipe import SynthesisName

FOLDER = EXAMPLES / "finished"

#: Longest side of the pictures of the first tab in pixels.
SIZE = 512

#: Of the JPEG files.
QUALITY: dict[str, Any] = {"quality": 88, "optimize": True}


@dataclass(frozen=True)
class Finished:
    """One picture: the names of its photograph and its style, and what differs from the usual recipe."""

    photograph: str
    style: str
    fields: dict[str, Any] = field(default_factory=dict)
    size: int = SIZE
    synthesis: SynthesisName = "transfer"
    suffix: str = ".jpg"

    @property
    def path(self) -> Path:
        return FOLDER / self.synthesis / f"{self.photograph}-{self.style}{self.suffix}"

    @property
    def recipe(self) -> Recipe:
        return Recipe.preset(self.synthesis, size=self.size, **self.fields)


@dataclass(frozen=True)
class Grid:
    """The pictures of a study; each is a file with its recipe and its losses.

    Args:
        recipe: what does not vary.
        photograph: the name of the content image.
        rows: what varies from row to row, and its values.
        columns: the same from column to column, if anything does.
        style: the name of the style image, if there is one.
    """

    recipe: Recipe
    photograph: str
    rows: tuple[str, str]
    columns: tuple[str, str] = ("", "")
    style: str = ""

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Of the rows and of the columns."""
        columns = AXES[self.columns[0]](self.columns[1]) if self.columns[0] else Axis("", (Variation(""),))
        return AXES[self.rows[0]](self.rows[1]), columns

    @property
    def paths(self) -> dict[Place, Path]:
        """The files by row and column."""
        rows, columns = (range(len(axis.variations)) for axis in self.axes)
        folder = FOLDER / self.rows[0]
        return {(row, column): folder / f"{row}-{column}.jpg" for row in rows for column in columns}

    @property
    def labelled(self) -> list[tuple[str, str]]:
        """The files, each with the labels of its row and column."""
        rows, columns = ([variation.label for variation in axis.variations] for axis in self.axes)
        return [
            (str(path), " · ".join(filter(None, (rows[row], columns[column]))))
            for (row, column), path in self.paths.items()
        ]


FINISHED = (
    Finished("chelsea", "oil_garden"),
    Finished("rocket", "night_swirls"),
    Finished("coffee", "woodblock_waves"),
    Finished("astronaut", "mosaic"),
    Finished("chelsea", "stained_glass"),
    Finished("coffee", "marbled_paper"),
    Finished("rocket", "ink_wash"),
    Finished("astronaut", "pointillism"),
)

#: Of the tab of amalgamations.
IMPRINTED = Finished(
    "chelsea", "night_swirls", {"content_layers": {"relu5_1": 1.0}, "iterations": 50}, 384, "amalgamation"
)

#: Of the tab of reconstructions: the content row of the paper's figure 1.
FIGURE_ONE = Grid(
    Recipe.preset("reconstruction", size=256, iterations=60),
    "chelsea",
    ("content-layers", "relu1_2, relu2_2, relu3_2, relu4_2, relu5_2"),
)

#: Of the tab of studies: why one normalises.
WHY = Grid(
    Recipe.preset("transfer", size=192, iterations=60),
    "rocket",
    ("normalization", "original, normalised"),
    ("style-weight", "1, 10, 100"),
    "night_swirls",
)

#: Of the tab of clips.
MOVING = Finished("coffee", "night_swirls", size=384, suffix=".mp4")


#: The networks that the page tells of at once.
KEPT = ("vgg19", "vgg19-small")


def main() -> None:
    """Makes all of them with the default network."""
    files = {Path(path).stem: path for path in (*content_files(), *style_files())}
    images = {name: open_image(path) for name, path in files.items()}
    network = load_normalized(DEFAULT_NETWORK)
    for picture in (*FINISHED, IMPRINTED):
        content, style = images[picture.photograph], images[picture.style]
        synthesis = Synthesis(network, picture.recipe, content=content, styles=[style])
        for _ in tqdm(synthesis, desc=picture.path.stem, total=picture.recipe.iterations):
            pass
        picture.path.parent.mkdir(parents=True, exist_ok=True)
        to_picture(synthesis.image).save(picture.path, **QUALITY)
    for grid in (FIGURE_ONE, WHY):
        styles: Sequence[Any] = [images[grid.style]] if grid.style else []
        study = Study(network, grid.recipe, *grid.axes, content=images[grid.photograph], styles=styles)
        for _ in tqdm(study, desc=grid.rows[0], total=study.total):
            pass
        for place, path in grid.paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            study.cells[place].result.save(path)
    moving = Transfer(
        content=clip_file(files[MOVING.photograph]),
        styles=(files[MOVING.style],),
        output=MOVING.path,
        recipe=MOVING.recipe,
    )
    with tqdm(desc="clip") as shown:
        moving.run(lambda _: shown.update(), network)
    for name in KEPT:
        keep(name, load_normalized(name))


if __name__ == "__main__":
    main()
