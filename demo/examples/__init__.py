"""Example pictures: styles drawn by the scripts here, photographs out of scikit-image."""

import tempfile
from pathlib import Path

from toolkit.pictures.io import example_photographs, to_picture

#: The folder of the pictures here.
EXAMPLES = Path(__file__).parent


def style_files() -> list[str]:
    """The paths of the drawn styles."""
    return sorted(str(path) for path in EXAMPLES.glob("*.jpg"))


def content_files() -> list[str]:
    """The paths of scikit-image's public-domain photographs, written anew into a folder of this process."""
    folder = Path(tempfile.mkdtemp(prefix="photographs-"))
    paths = []
    for name, photograph in example_photographs().items():
        path = folder / f"{name}.jpg"
        to_picture(photograph).save(path, quality=92)
        paths.append(str(path))
    return paths
