"""Example pictures: the styles here, which README.md describes, and photographs out of scikit-image."""

from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from toolkit.pictures.clips import Frame, save_clip
from toolkit.pictures.io import example_photographs, to_picture, to_uint8

#: The folder of the pictures here.
EXAMPLES = Path(__file__).parent

#: Frames of the example clip, frames a second, and its width in pixels.
CLIP_FRAMES, CLIP_RATE, CLIP_WIDTH = 24, 12, 480

#: How much of the photograph it has lost on each side when it ends.
CLOSER = 0.2

#: Longest side of a thumbnail in pixels, for screens of two pixels a point.
THUMBNAIL = 256


def style_files() -> list[str]:
    """The paths of the style images."""
    return sorted(str(path) for path in EXAMPLES.glob("*.jpg"))


def content_files() -> list[str]:
    """The paths of scikit-image's public-domain photographs, in a folder that this process deletes when it ends."""
    paths = []
    for name, photograph in example_photographs().items():
        path = Path(_folder().name) / f"{name}.jpg"
        if not path.exists():
            to_picture(photograph).save(path, quality=92)
        paths.append(str(path))
    return paths


@cache
def thumbnail(path: str) -> str:
    """The path of a small copy of a picture, for strips that every visitor loads."""
    small = Path(_folder().name) / f"small-{Path(path).name}"
    with Image.open(path) as picture:
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        picture.save(small, quality=85)
    return str(small)


def clip_file(photograph: str) -> str:
    """The path of a clip of two seconds beside a photograph: the camera comes closer to its middle."""
    with Image.open(photograph) as picture:
        width, height = picture.size
        frames = []
        for number in range(CLIP_FRAMES):
            edge = CLOSER * number / (CLIP_FRAMES - 1)
            seen = (width * edge, height * edge, width * (1 - edge), height * (1 - edge))
            shown = picture.resize((CLIP_WIDTH, CLIP_WIDTH * height // width // 2 * 2), Image.Resampling.LANCZOS, seen)
            frames.append(Frame(Fraction(number, CLIP_RATE), to_uint8(shown)))
    path = Path(photograph).with_suffix(".mp4")
    save_clip(path, frames, Fraction(CLIP_RATE))
    return str(path)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="photographs-")
