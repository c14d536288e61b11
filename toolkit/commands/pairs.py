"""Which images go together, and what their results are called."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..data.sources import list_images

#: Bytes of a result's name: file systems take 255, and numbers, suffixes and a checkpoint's name come to it.
LONGEST = 200


class Pair(NamedTuple):
    """A content image, if any, the style images to blend, and the name of their result without its suffix."""

    content: str | None
    styles: Sequence[str]
    name: str


def pair(command: str, content: str | None, styles: Sequence[str]) -> Pair:
    """The images as they are."""
    stem = "-".join(Path(source).stem for source in (content, *styles) if source)
    name = stem if command == "transfer" else f"{stem}-{command}"
    shorter = name if len(os.fsencode(name)) <= LONGEST else os.fsencode(name)[:LONGEST].decode(errors="ignore")
    return Pair(content, styles, shorter)


def every_pair(command: str, content: str | None, styles: Sequence[str], results: Path) -> list[Pair]:
    """Every content with every style, those in folders too, but for results made before; names that recur are numbered.

    Raises:
        ToolkitError: when a folder can't be read, or holds no images.
    """
    taken: set[str] = set()
    pairs = []
    for one in _images(content, results):
        for other in [image for style in styles for image in _images(style, results)] or [None]:
            each = pair(command, one, [other] if other else [])
            name, number = each.name, 1
            while name.casefold() in taken:  # some file systems take upper and lower case for the same
                number += 1
                name = f"{each.name}-{number}"
            taken.add(name.casefold())
            pairs.append(each._replace(name=name))
    return pairs


def _images(source: str | None, results: Path) -> list[str | None]:
    """An image, or those of a folder that are not in the folder of results."""
    if source is None or not Path(source).is_dir():
        return [source]
    folder = results.resolve()
    places = [entry.place for entry in list_images(source)]
    return [place for place in places if folder not in Path(place).resolve().parents]
