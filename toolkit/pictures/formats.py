"""Images out: in the format of the file's name, 8 or 16 bits, in sRGB, with the recipe inside and read back."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import tifffile
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from ..errors import ToolkitError
from ..files import written_atomically
from .decode import SRGB, opened
from .io import to_integers, to_picture

#: Key of the text chunk in a PNG that holds the recipe as JSON. In other formats it is the description in the EXIF.
RECIPE_KEY = "recipe"
DESCRIPTION = 0x010E

#: EXIF's horizontal and vertical resolution, and their unit.
RESOLUTION, INCH = (0x011A, 0x011B, 0x0128), 2

INCHES_IN_A_METRE = 1 / 0.0254


class Format(NamedTuple):
    """A format that images are written in.

    ``encode`` takes an image (1, 3 or 4, H, W), a recipe as JSON, bits and dots per inch, and gives the file's bytes.
    ``bits``: of a channel, the usual number first. ``longest``: longest side in pixels.
    """

    encode: Callable[[Tensor, str, int, float | None], bytes]
    bits: tuple[int, ...] = (8,)
    alpha: bool = True
    longest: int = 65_535


def save_image(
    image: Tensor, path: str | Path, recipe: str, *, bits: int | None = None, dpi: float | None = None
) -> None:
    """Writes an image with its recipe, as JSON, inside; atomically, in the format of the path's suffix.

    PNG has 8 or 16 bits a channel, TIFF 16, JPEG and WebP 8; all say that they are sRGB.

    >>> from toolkit.pictures.io import open_image
    >>> save_image(torch.rand(1, 3, 48, 64), "image.webp", "{}")
    >>> open_image("image.webp").shape
    torch.Size([1, 3, 48, 64])

    Args:
        image: (1, 3, H, W), clamped to [0, 1]; a fourth channel is its alpha.
        path: ends in one of ``FORMATS``.
        recipe: JSON; ``read_recipe`` reads it back.
        bits: a channel (default: the format's usual).
        dpi: dots per inch, for printing.

    Raises:
        ToolkitError: when the format has not what is asked for, or the file can't be written.
    """
    path = Path(path)
    check_format(path, max(image.shape[-2:]), alpha=image.shape[1] == 4, bits=bits)
    with written_atomically(path) as temporary:
        temporary.write_bytes(encoded(image, path.suffix, recipe, bits=bits, dpi=dpi))


def check_format(path: Path, longest: int = 1, *, alpha: bool = False, bits: int | None = None) -> None:
    """Makes sure that an image can be written in the format of a path's suffix, before any long work.

    Raises:
        ToolkitError: when it can't.
    """
    chosen = FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise ToolkitError(f"{path} must end in {', '.join(FORMATS)}.")
    if bits not in (None, *chosen.bits):
        raise ToolkitError(f"{path} can't have {bits} bits a channel but {chosen.bits[0]}: use .png for either.")
    if alpha and not chosen.alpha:
        raise ToolkitError(f"{path} can't be transparent: use .png, .webp or .tif.")
    if longest > chosen.longest:
        raise ToolkitError(f"{path} can't have more than {chosen.longest:,} pixels on a side: use .png or .tif.")


def encoded(image: Tensor, suffix: str, recipe: str, *, bits: int | None = None, dpi: float | None = None) -> bytes:
    """The bytes that ``save_image`` writes."""
    chosen = FORMATS[suffix.lower()]
    return chosen.encode(image, recipe, bits or chosen.bits[0], dpi)


def read_recipe(source: str | Path | BinaryIO) -> str:
    """The recipe, as JSON, from a file that ``save_image`` wrote.

    Raises:
        ToolkitError: when the file can't be read, or holds no recipe.
    """
    with opened(source) as picture:
        recipe = getattr(picture, "text", {}).get(RECIPE_KEY)  # Pillow decodes all of the image to find its texts
        recipe = recipe or _described(picture.getexif().get(DESCRIPTION))
    if recipe is None:
        name = source if isinstance(source, str | Path) else "The picture"
        raise ToolkitError(
            f"{name} holds no recipe: it is a study's grid (see the .json beside it), or was not made by this toolkit, "
            "or another program that saved it or sent it on has removed it: use the file as it was made."
        )
    return str(recipe)


def _described(description: Any) -> str | None:
    """A recipe in an EXIF description, which Pillow reads byte by byte."""
    text = str(description or "").encode("latin-1", "ignore").decode("utf-8", "ignore")
    return text if text.lstrip().startswith("{") else None


def _png(image: Tensor, recipe: str, bits: int, dpi: float | None) -> bytes:
    if bits == 16:
        return _png_of_16_bits(image, recipe, dpi)
    text = PngImagePlugin.PngInfo()
    text.add_itxt(RECIPE_KEY, recipe)
    return _by_pillow("PNG", image, pnginfo=text, **({"dpi": (dpi, dpi)} if dpi else {}))


def _png_of_16_bits(image: Tensor, recipe: str, dpi: float | None) -> bytes:
    """As ``_png``; Pillow has no such pictures."""
    pixels = to_integers(image, torch.uint16).numpy().astype(">u2")
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, -1).view("u1").astype("u1")
    rows[1:] -= rows[:-1].copy()  # each row less the one above, which compresses well
    filtered = b"".join(b"\x02" + row.tobytes() for row in rows)
    per_metre = round((dpi or 0) * INCHES_IN_A_METRE)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, 6 if channels == 4 else 2, 0, 0, 0),
        b"iCCP": b"sRGB\0\0" + zlib.compress(SRGB),
        b"pHYs": struct.pack(">IIB", per_metre, per_metre, 1) if dpi else None,
        b"iTXt": RECIPE_KEY.encode() + bytes(5) + recipe.encode(),
        b"IDAT": zlib.compress(filtered),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
        if data is not None
    )


def _jpeg(image: Tensor, recipe: str, _: int, dpi: float | None) -> bytes:
    return _by_pillow("JPEG", image, exif=_exif(recipe, dpi), quality=95, subsampling=0)


def _webp(image: Tensor, recipe: str, _: int, dpi: float | None) -> bytes:
    return _by_pillow("WEBP", image, exif=_exif(recipe, dpi), quality=95)


def _tiff(image: Tensor, recipe: str, _: int, dpi: float | None) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        to_integers(image, torch.uint16).numpy(),
        photometric="rgb",
        extrasamples=["unassalpha"] if image.shape[1] == 4 else None,
        compression="zlib",
        predictor=True,
        description=recipe.encode(),
        resolution=(dpi, dpi) if dpi else None,
        resolutionunit=INCH,
        iccprofile=SRGB,
        metadata=None,
        software=False,
    )
    return buffer.getvalue()


def _exif(recipe: str, dpi: float | None) -> Image.Exif:
    exif = Image.Exif()
    exif[DESCRIPTION] = recipe.encode()
    if dpi:
        exif.update(dict(zip(RESOLUTION, (dpi, dpi, INCH), strict=True)))
    return exif


def _by_pillow(format: str, image: Tensor, **options: Any) -> bytes:
    buffer = io.BytesIO()
    to_picture(image).save(buffer, format, icc_profile=SRGB, **options)
    return buffer.getvalue()


#: By suffix.
FORMATS = {
    ".png": Format(_png, bits=(8, 16), longest=2**31 - 1),
    ".jpg": Format(_jpeg, alpha=False),
    ".jpeg": Format(_jpeg, alpha=False),
    ".webp": Format(_webp, longest=16_383),
    ".tif": Format(_tiff, bits=(16,), longest=2**31 - 1),
    ".tiff": Format(_tiff, bits=(16,), longest=2**31 - 1),
}
