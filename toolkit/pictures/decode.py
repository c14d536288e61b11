"""Image files as people have them: opened safely, turned upright, in sRGB, 8 bits."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import DamagedFileError, MissingFileError, ToolkitError
from ..files import IS_POINTER, POINTER
from . import tiff

with contextlib.suppress(ImportError):  # an extra: the pictures of many phones
    import pillow_heif

    pillow_heif.register_heif_opener()

#: Larger files are refused before they are decoded: as floats, this many pixels take 1.2 GB.
MAX_PIXELS = 100_000_000

Image.init()

#: Formats that are opened, by Pillow's names. Others are rare, and one of Pillow's readers starts another program.
FORMATS = {"AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP"} & Image.OPEN.keys()

#: How the names of their files end.
SUFFIXES = tuple(sorted(suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS))

#: The colour profile of what is read and written. Its date is left out, so that the same image gives the same file.
_NOW = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SRGB = _NOW[:24] + bytes(12) + _NOW[36:]

#: The gAMA of a PNG whose colours are those of sRGB, nearly; one within 5 % of it is taken for it.
GAMMA = 1 / 2.2

#: White in pictures of floats and of 32-bit integers, which do not say it.
WHITES = (1.0, 255.0, 65535.0, 4294967295.0)


@contextmanager
def opened(source: str | Path | BinaryIO, name: str | None = None) -> Iterator[Image.Image]:
    """An image file, not decoded yet; whatever is wrong with it, then or later, becomes a sentence.

    An animation stands at the first frame that is not all of one colour, as before it fades in.

    Raises:
        MissingFileError: when it is not there.
        DamagedFileError: when it is no image, damaged, or has more than ``MAX_PIXELS`` pixels.
    """
    name = name or (str(source) if isinstance(source, str | Path) else "The picture")
    too_large = f"more than the {MAX_PIXELS:,} that are read: scale it down."
    try:
        with warnings.catch_warnings(action="ignore"), _open(source) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise DamagedFileError(f"{name} has {width} x {height} pixels, {too_large}")
            _skip(picture, _blank)
            yield picture
    except ToolkitError:
        raise
    except UnidentifiedImageError as error:
        reason = IS_POINTER if _start(source) == POINTER else f"is not a picture in a known format: {_remedy(source)}"
        raise DamagedFileError(f"{name} {reason}") from error
    except Image.DecompressionBombError as error:
        raise DamagedFileError(f"{name} has {too_large.replace('that', 'pixels that')}") from error
    except FileNotFoundError as error:
        raise MissingFileError(f"There is no picture {name}.") from error
    except Exception as error:  # Pillow's readers raise errors of every kind for damaged files
        reason = "not enough memory" if isinstance(error, MemoryError) else "damaged or cut short"
        reason = getattr(error, "strerror", None) or reason
        raise DamagedFileError(f"{name} could not be read ({reason}).") from error


def _open(source: str | Path | BinaryIO) -> Any:
    """A picture, by Pillow, or by tifffile where that reads better."""
    try:
        picture: Any = Image.open(source, formats=sorted(FORMATS))
        if picture.format != "TIFF":
            return picture
        _skip(picture, tiff.reduced)
        if not tiff.misread(picture):
            return picture
    except UnidentifiedImageError:
        if not _start(source).startswith(tiff.STARTS):
            raise
    values, info = tiff.pixels(source, MAX_PIXELS)
    picture = Image.fromarray(_in_eight_bits(values))
    picture.info.update(info)
    return picture


def _skip(picture: Image.Image, what: Callable[[Any], bool]) -> None:
    """Goes on to the first frame that is no such one, or back to the first where all are."""
    while what(picture):
        try:
            picture.seek(picture.tell() + 1)
        except EOFError:
            return picture.seek(0)


def _blank(picture: Image.Image) -> bool:
    """Whether a frame of an animation is all of one colour."""
    return getattr(picture, "is_animated", False) and not np.ptp(np.asarray(picture), (0, 1)).any()


def _start(source: str | Path | BinaryIO) -> bytes:
    with Path(source).open("rb") if isinstance(source, str | Path) else contextlib.nullcontext(source) as file:
        file.seek(0)
        return file.read(len(POINTER))


def _remedy(source: str | Path | BinaryIO) -> str:
    """What to do about a file in no known format."""
    start = _start(source)
    if not start:
        return "the file is empty."
    if start[4:8] == b"ftyp" and "HEIF" not in FORMATS:
        return "if it is HEIC, pip install pillow-heif, or save it as JPEG."
    return "use PNG, JPEG or WebP."


def decoded(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours of a picture, upright, RGB of sRGB; and its alpha (L), where it has transparent parts."""
    info, tags, kind = picture.info, getattr(picture, "tag_v2", {}), picture.format
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        if values.dtype == np.int32 and kind == "PPM":  # Pillow has scaled them to 16 bits
            values = values.astype(np.uint16)
        elif values.dtype == np.int32 and tags and tags.get(339) != 2:  # Pillow reads both kinds alike
            values = values.view(np.uint32)
        grey = _in_eight_bits(values)
        picture = Image.fromarray(255 - grey if tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO else grey)
        if isinstance(clear := info.get("transparency"), int):  # a PNG's
            picture.putalpha(Image.fromarray(values != clear).convert("L"))
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        alpha = None if alpha.getextrema() == (255, 255) else alpha
    if picture.mode not in ("L", "RGB", "CMYK", "LAB"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    return _in_srgb(picture, info), alpha


def opaque(picture: Image.Image, background: str) -> Image.Image:
    """The colours of a picture, with a background of that colour behind transparent parts."""
    colours, alpha = decoded(picture)
    return Image.composite(colours, Image.new("RGB", colours.size, background), alpha) if alpha else colours


def stored(picture: Image.Image) -> Image.Image:
    """A picture's pixels as RGB as they stand in the file, for no profile, turning or transparency.

    Networks are trained on such pixels (torchvision's ``pil_loader``). Only numbers of more than eight bits, and LAB,
    are taken as ``decoded`` takes them.
    """
    other = picture.mode.startswith("I") or picture.mode in ("F", "LAB")
    return decoded(picture)[0] if other else picture.convert("RGB")


def _in_eight_bits(values: np.ndarray) -> np.ndarray:
    """Numbers of any kind as uint8, from black to white."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        return ((values * np.uint32(255) + 32767) // 65535).astype(np.uint8)
    values = np.nan_to_num(values.astype(np.float64))
    bright = np.quantile(values, 0.9)  # not the largest: floats may have highlights beyond white
    white = next((each for each in WHITES if bright <= each), bright)
    return (values / white * 255).clip(0, 255).round().astype(np.uint8)


def _in_srgb(picture: Image.Image, info: Mapping[Any, Any]) -> Image.Image:
    """A picture of L, RGB, CMYK or LAB as RGB of sRGB; Pillow's infos hold its profile, or a PNG's gamma."""
    profile: Any = info.get("icc_profile")
    gamma = info.get("gamma", GAMMA)
    if picture.mode != "LAB" and profile in (None, SRGB):
        picture = picture.convert("RGB")
        if profile or "srgb" in info or gamma <= 0 or abs(gamma / GAMMA - 1) < 0.05:
            return picture
        light = np.linspace(0, 1, 256) ** (1 / gamma)
        return picture.point((light**GAMMA * 255).round().astype(int).tolist() * 3)
    try:
        lab = ImageCms.createProfile("LAB") if picture.mode == "LAB" else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(picture, lab, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError):  # damaged, or for other channels: passed over, as browsers do
        return picture.convert("RGB")
    assert converted is not None
    return converted
