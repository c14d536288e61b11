"""Pictures in and out: opened safely, resized, saved with the recipe inside."""

import io
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from ..errors import ToolkitError
from ..files import written_atomically

#: Larger pictures are refused before they are decoded: 100 megapixels take 1.2 GB as floats.
MAX_PIXELS = 100_000_000

#: What is opened, by Pillow's names: its readers of other formats are seldom needed, and one runs another program.
FORMATS = {"AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP"}

#: What Pillow raises for damaged files.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, RuntimeError)

#: The key of the PNG text chunk that holds a recipe's JSON.
RECIPE_KEY = "recipe"


def open_image(source: str | Path | BinaryIO) -> Tensor:
    """Reads a picture in one of ``FORMATS``, upright, transparency laid on white.

    Returns:
        (1, 3, H, W) float32, RGB in [0, 1].

    Raises:
        ToolkitError: when it is missing, no picture, damaged, or larger than ``MAX_PIXELS``.
    """
    return to_tensor(open_picture(source))


def open_picture(
    source: str | Path | BinaryIO, name: str | None = None, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """Like ``open_image``, as a Pillow image of mode RGB.

    Args:
        source: a path, or an open file.
        name: what to call it in messages, for a file.
        at_least: (width, height) that are enough: a JPEG may then be decoded at a half, a quarter or an eighth.
    """
    name = name or (str(source) if isinstance(source, str | Path) else "The picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is next
            opened = Image.open(source)
        with opened:
            if opened.format not in FORMATS:
                raise UnidentifiedImageError
            _check_size(opened, name)
            if at_least is not None:
                opened.draft("RGB", at_least)
            return _to_rgb(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError as error:
        raise ToolkitError(f"{name} is not a picture in a known format: use PNG, JPEG or WebP.") from error
    except Image.DecompressionBombError as error:
        raise ToolkitError(f"{name} has more than the {MAX_PIXELS:,} pixels that are read: scale it down.") from error
    except FileNotFoundError as error:
        raise ToolkitError(f"There is no picture {name}.") from error
    except DAMAGED as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "damaged or cut short"
        raise ToolkitError(f"{name} could not be read ({reason}).") from error


def _check_size(opened: Image.Image, name: str) -> None:
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise ToolkitError(
            f"{name} has {width} x {height} pixels, more than the {MAX_PIXELS:,} that are read: scale it down."
        )


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
    """An RGB Pillow image -> (1, 3, H, W) float32 in [0, 1]."""
    return to_floats(to_bytes(picture))


def to_floats(image: Tensor) -> Tensor:
    """An image in [0, 1] as it is; one in bytes, uint8, as float32 in [0, 1]."""
    return image.float().div_(255) if image.dtype == torch.uint8 else image


def to_bytes(picture: Image.Image) -> Tensor:
    """An RGB Pillow image -> (1, 3, H, W) uint8, channels last in memory."""
    return torch.from_numpy(np.array(picture, dtype=np.uint8)).permute(2, 0, 1).unsqueeze(0)


def to_picture(image: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1], clamped -> an RGB Pillow image of eight bits."""
    # Channel by channel: a large image is not copied whole as floats.
    channels = [channel.clamp(0, 1).mul_(255).round_().to("cpu", torch.uint8) for channel in image.detach()[0]]
    return Image.fromarray(torch.stack(channels, -1).numpy())


def fit(image: Tensor, longest: int) -> Tensor:
    """Resizes (N, 3, H, W) with antialiasing so that its longest side has ``longest`` pixels, proportions kept."""
    height, width = image.shape[-2:]
    side = max(height, width)
    return resize(image, (max(1, round(height * longest / side)), max(1, round(width * longest / side))))


def cover(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes (N, 3, H, W), proportions kept, so that it covers (height, width), and cuts off what juts out."""
    height, width = size
    scale = max(height / image.shape[-2], width / image.shape[-1])
    larger = resize(image, (max(height, round(image.shape[-2] * scale)), max(width, round(image.shape[-1] * scale))))
    top, left = (larger.shape[-2] - height) // 2, (larger.shape[-1] - width) // 2
    return larger[..., top : top + height, left : left + width]


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes (N, C, H, W), in [0, 1] or in bytes, to (height, width), bicubic with antialiasing, clamped to [0, 1]."""
    if image.shape[-2:] == size:
        return to_floats(image)
    dtype = torch.float32 if image.dtype == torch.uint8 else image.dtype
    resized = torch.empty(*image.shape[:2], *size, dtype=dtype, device=image.device)
    for before, after in zip(image.split(1, 1), resized.split(1, 1), strict=True):  # one by one, for little memory
        after.copy_(F.interpolate(to_floats(before), size, mode="bicubic", antialias=True))
    return resized.clamp_(0, 1)


def save_png(image: Tensor, path: Path, recipe: str) -> None:
    """Writes (1, 3, H, W) as a PNG that holds the recipe's JSON, atomically.

    Raises:
        ToolkitError: when it can't be written.
    """
    with written_atomically(path) as temporary:
        temporary.write_bytes(png_bytes(image, recipe))


def png_bytes(image: Tensor, recipe: str) -> bytes:
    """(1, 3, H, W) as the bytes of a PNG that holds the recipe's JSON."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt(RECIPE_KEY, recipe)
    buffer = io.BytesIO()
    to_picture(image).save(buffer, format="PNG", pnginfo=text)
    return buffer.getvalue()


def read_recipe(source: str | Path | BinaryIO) -> str:
    """The recipe's JSON out of a PNG of ours.

    Raises:
        ToolkitError: when it is no picture, or holds no recipe.
    """
    name = str(source) if isinstance(source, str | Path) else "The picture"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is next
            opened = Image.open(source)
        with opened:
            _check_size(opened, name)
            recipe = getattr(opened, "text", {}).get(RECIPE_KEY)  # Pillow decodes all of it to find its texts
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise ToolkitError(f"{name} is not a picture that could be read.") from error
    if recipe is None:
        raise ToolkitError(f"{name} holds no recipe: only PNG files saved by this toolkit do.")
    return str(recipe)


def example_photographs() -> dict[str, Tensor]:
    """scikit-image's public-domain photographs by name, (1, 3, H, W): pictures at hand without a download."""
    from skimage import data  # slow to import, and seldom needed

    names = ("astronaut", "chelsea", "coffee", "rocket")
    return {name: to_tensor(Image.fromarray(getattr(data, name)())) for name in names}
