"""Images for an atlas without a download: scikit-image's photographs, whole and in parts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from ..data.sources import Held, Source
from ..pictures.io import example_photographs, open_picture, to_picture

#: Side of a part and step between parts, in pixels: a pass sees the middle 224 of 256 pixels, so parts don't overlap.
SIDE, STEP = 256, 224


def example_images(paths: Sequence[Path] = ()) -> list[Source]:
    """scikit-image's photographs and the images at ``paths``; large ones come whole and in parts as well.

    Raises:
        ToolkitError: when an image can't be read.
    """
    pictures = {name: to_picture(image) for name, image in example_photographs().items()}
    pictures |= {path.stem: open_picture(path) for path in paths}
    parts = (part for stem, picture in pictures.items() for part in [(stem, picture), *_parts(stem, picture)])
    return [Held(name, part) for name, part in parts]


def _parts(stem: str, picture: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Squares of an image with their names; none when there is room for only one."""
    width, height = picture.size
    across, down = ((length - SIDE) // STEP + 1 for length in picture.size)
    if across * down < 2 or min(across, down) < 1:
        return
    left, top = (width - (across - 1) * STEP - SIDE) // 2, (height - (down - 1) * STEP - SIDE) // 2
    for row in range(down):
        for column in range(across):
            x, y = left + column * STEP, top + row * STEP
            yield f"{stem}, row {row + 1}, column {column + 1}", picture.crop((x, y, x + SIDE, y + SIDE))
