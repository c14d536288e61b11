"""Images in and out: opened safely, resized, saved with their recipe.

A *picture* is a Pillow image, an *image* a tensor (N, 3, H, W), RGB in [0, 1].
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from ..errors import ToolkitError
from ..files import written_atomically

#: Larger files are refused before they are decoded: as floats, this many pixels take 1.2 GB.
MAX_PIXELS = 100_000_000

#: Formats that are opened, by Pillow's names. Others are rare, and one of Pillow's readers starts another program.
FORMATS = {"AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP"}

#: The errors that Pillow raises for damaged files.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, RuntimeError)

#: Key of the text chunk in a PNG that holds the recipe as JSON.
RECIPE_KEY = "recipe"


def open_image(source: str | Path | BinaryIO) -> Tensor:
    """Opens an image file in one of ``FORMATS``: turned upright, transparency on white.


    Returns:
        (1, 3, H, W) float32, RGB in [0, 1].

    Raises:
        ToolkitError: when the file is missing, no image, damaged, or has more than ``MAX_PIXELS`` pixels.
    """
    return to_tensor(open_picture(source))


def open_picture(
    source: str | Path | BinaryIO, name: str | None = None, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """Opens an image file as ``open_image`` does, as an RGB picture.

    Args:
        source: a path, or an open file.
        name: of the file in error messages; default: its path.
        at_least: (width, height) that is enough: a JPEG may be decoded at a half, a quarter or an eighth of its size.

    Raises:
        ToolkitError: as ``open_image``.
    """
    with _opened(source, name) as opened:
        if at_least is not None:
            opened.draft("RGB", at_least)
        return _to_rgb(ImageOps.exif_transpose(opened))


@contextmanager
def _opened(source: str | Path | BinaryIO, name: str | None = None) -> Iterator[Image.Image]:
    """An image file, not decoded yet; whatever is wrong with it, then or later, becomes a sentence."""
    name = name or (str(source) if isinstance(source, str | Path) else "The picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # MAX_PIXELS is lower
            opened = Image.open(source)
        with opened:
            if opened.format not in FORMATS:
                raise UnidentifiedImageError
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise ToolkitError(
                    f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS:,} that are read: scale it down."
                )
            yield opened
    except UnidentifiedImageError as error:
        raise ToolkitError(f"{name} is not a picture in a known format: use PNG, JPEG or WebP.") from error
    except Image.DecompressionBombError as error:
        raise ToolkitError(f"{name} has more than the {MAX_PIXELS:,} pixels that are read: scale it down.") from error
    except FileNotFoundError as error:
        raise ToolkitError(f"There is no picture {name}.") from error
    except DAMAGED as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged or cut short"
        raise ToolkitError(f"{name} could not be read ({reason}).") from error


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        full = 65535.0 if picture.mode.startswith("I") else 1.0
        picture = Image.fromarray((values / full * 255).clip(0, 255).round().astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def to_tensor(picture: Image.Image) -> Tensor:
    """An RGB picture as an image (1, 3, H, W), float32 in [0, 1]."""
    return to_floats(to_uint8(picture))


def to_floats(image: Tensor) -> Tensor:
    """An image of bytes (uint8) as float32 in [0, 1]; any other image unchanged."""
    return image.float().div_(255) if image.dtype == torch.uint8 else image


def to_uint8(picture: Image.Image) -> Tensor:
    """An RGB picture as bytes (1, 3, H, W), uint8, channels last in memory."""
    return torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1).unsqueeze(0)


def to_picture(image: Tensor) -> Image.Image:
    """An image (1, 3, H, W), clamped to [0, 1], as an RGB picture of eight bits."""
    # By channel, for little memory.
    channels = [channel.clamp(0, 1).mul_(255).round_().to("cpu", torch.uint8) for channel in image.detach()[0]]
    return Image.fromarray(torch.stack(channels, -1).numpy())


def fit(image: Tensor, longest: int) -> Tensor:
    """Resizes an image (N, 3, H, W) in its proportions so that its longest side has ``longest`` pixels.

    >>> fit(torch.zeros(1, 3, 300, 400), 100).shape
    torch.Size([1, 3, 75, 100])
    """
    height, width = image.shape[-2:]
    side = max(height, width)
    return resize(image, (max(1, round(height * longest / side)), max(1, round(width * longest / side))))


def cover(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes an image (N, 3, H, W) in its proportions to cover (height, width), and crops it to that."""
    height, width = size
    scale = max(height / image.shape[-2], width / image.shape[-1])
    larger = resize(image, (max(height, round(image.shape[-2] * scale)), max(width, round(image.shape[-1] * scale))))
    top, left = (larger.shape[-2] - height) // 2, (larger.shape[-1] - width) // 2
    return larger[..., top : top + height, left : left + width]


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes (N, C, H, W), in [0, 1] or of bytes, to (height, width): bicubic, antialiased, clamped to [0, 1]."""
    if image.shape[-2:] == size:
        return to_floats(image)
    dtype = torch.float32 if image.dtype == torch.uint8 else image.dtype
    resized = torch.empty(*image.shape[:2], *size, dtype=dtype, device=image.device)
    for before, after in zip(image.split(1, 1), resized.split(1, 1), strict=True):  # by channel, for little memory
        after.copy_(F.interpolate(to_floats(before), size, mode="bicubic", antialias=True))
    return resized.clamp_(0, 1)


def save_png(image: Tensor, path: str | Path, recipe: str) -> None:
    """Writes an image (1, 3, H, W) as a PNG with its recipe, as JSON, inside; atomically.

    Raises:
        ToolkitError: when it can't be written.
    """
    with written_atomically(Path(path)) as temporary:
        temporary.write_bytes(png_bytes(image, recipe))


def png_bytes(image: Tensor, recipe: str) -> bytes:
    """The bytes that ``save_png`` writes."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt(RECIPE_KEY, recipe)
    buffer = io.BytesIO()
    to_picture(image).save(buffer, format="PNG", pnginfo=text)
    return buffer.getvalue()


def read_recipe(source: str | Path | BinaryIO) -> str:
    """The recipe, as JSON, from a PNG that ``save_png`` wrote.

    Raises:
        ToolkitError: when the file can't be read, or holds no recipe.
    """
    with _opened(source) as opened:
        recipe = getattr(opened, "text", {}).get(RECIPE_KEY)  # Pillow decodes all of the image to find its texts
    if recipe is None:
        name = source if isinstance(source, str | Path) else "The picture"
        raise ToolkitError(f"{name} holds no recipe: only PNG files saved by this toolkit do.")
    return str(recipe)


def example_photographs() -> dict[str, Tensor]:
    """Four public-domain photographs that come with scikit-image, by name, (1, 3, H, W) each."""
    from skimage import data  # slow to import

    names = ("astronaut", "chelsea", "coffee", "rocket")
    return {name: to_tensor(Image.fromarray(getattr(data, name)())) for name in names}
