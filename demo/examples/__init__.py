"""Example pictures: the styles here, which README.md describes, and photographs out of scikit-image."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.pictures.io import example_photographs, to_picture

#: The folder of the pictures here.
EXAMPLES = Path(__file__).parent


def style_files() -> list[str]:
    """The paths of the style images."""
    return sorted(str(path) for path in EXAMPLES.glob("*.jpg"))


def content_files() -> list[str]:
    """The paths of scikit-image's public-domain photographs, in a folder that this process deletes when it ends."""
    paths = []
    for name, photograph in example_photographs().items():
        path = Path(_folder().name) / f"{name}.jpg"
        to_picture(photograph).save(path, quality=92)
        paths.append(str(path))
    return paths


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="photographs-")
