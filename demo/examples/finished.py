"""The finished pictures that the page opens with. `python -m demo.examples.finished [NAME ...]` makes them anew."""

import argparse
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
        """Its file."""
        return FOLDER / f"{self.photograph}-{self.style}.jpg"

    @property
    def recipe(self) -> Recipe:
        """How it was made."""
        return Recipe.preset("transfer", size=SIZE, **self.fields)


FINISHED = (
    Finished("chelsea", "stained_glass"),
    Finished("rocket", "night_swirls"),
    Finished("coffee", "woodblock_waves"),
    Finished("astronaut", "mosaic"),
    Finished("chelsea", "oil_garden"),
    Finished("coffee", "marbled_paper"),
    Finished("rocket", "ink_wash"),
    Finished("astronaut", "pointillism"),
)


def main() -> None:
    """Makes the pictures named on the command line, or all of them."""
    named = {each.path.stem: each for each in FINISHED}
    parser = argparse.ArgumentParser(description="Make the finished pictures that the page opens with.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(named)}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(named):
        parser.error(f"unknown picture: {', '.join(sorted(unknown))}")
    images = {Path(path).stem: path for path in (*content_files(), *style_files())}
    network = load_normalized(DEFAULT_NETWORK)
    FOLDER.mkdir(exist_ok=True)
    for name in options.names or named:
        each = named[name]
        content, style = open_image(images[each.photograph]), open_image(images[each.style])
        synthesis = Synthesis(network, each.recipe, content=content, styles=[style])
        for _ in tqdm(synthesis, desc=name, total=each.recipe.iterations):
            pass
        to_picture(synthesis.image).save(each.path, quality=88, optimize=True)


if __name__ == "__main__":
    main()
