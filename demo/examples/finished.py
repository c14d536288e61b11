"""The finished pictures that the page opens with. `python -m demo.examples.finished` makes them anew."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from demo.examples import EXAMPLES, content_files, style_files
from toolkit.network import DEFAULT_NETWORK
from toolkit.normalize import load_normalized
from toolkit.pictures.io import open_image, to_picture
from toolkit.synthesis import Recipe, Synthesis

FOLDER = EXAMPLES / "finished"

#: Longest side in pixels.
SIZE = 512


@dataclass(frozen=True)
class Finished:
    """One picture: the names of its photograph and its style, and what differs from the usual recipe."""

    photograph: str
    style: str
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.photograph}-{self.style}.jpg"

    @property
    def recipe(self) -> Recipe:
        return Recipe.preset("transfer", size=SIZE, **self.fields)


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


def main() -> None:
    images = {Path(path).stem: path for path in (*content_files(), *style_files())}
    network = load_normalized(DEFAULT_NETWORK)
    for picture in FINISHED:
        content, style = open_image(images[picture.photograph]), open_image(images[picture.style])
        synthesis = Synthesis(network, picture.recipe, content=content, styles=[style])
        for _ in tqdm(synthesis, desc=picture.path.stem, total=picture.recipe.iterations):
            pass
        to_picture(synthesis.image).save(picture.path, quality=88, optimize=True)


if __name__ == "__main__":
    main()
