"""TIFF files that Pillow refuses or misreads, such as those of floats: read by tifffile."""

import logging
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

logging.getLogger(tifffile.__name__).addHandler(logging.NullHandler())  # it tells of damage beside its errors

#: How the files begin, by byte order; the third number is that of BigTIFF.
STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

#: Tags, and values of theirs.
SUBFILE, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, PLANES = 254, 258, 259, 262, 274, 284
REDUCED, UNCOMPRESSED, WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, SEPARATE = 1, 1, 0, 1, 2, 2


def reduced(picture: Any) -> bool:
    """Whether a page of Pillow's is a smaller version of another."""
    return bool(picture.tag_v2.get(SUBFILE, 0) & REDUCED)


def misread(picture: Any) -> bool:
    """Whether Pillow takes a page's channels one after another for pixels."""
    tags = picture.tag_v2
    return (tags.get(PLANES), tags.get(COMPRESSION)) == (SEPARATE, UNCOMPRESSED) and max(tags.get(BITS, (1,))) > 8


def pixels(source: str | Path | BinaryIO, most: int) -> tuple[np.ndarray, dict[str, Any]]:
    """The first page that is not a reduced one: numbers, (H, W) or (H, W, 3), or 4 with alpha; and Pillow's infos.

    Raises:
        UnidentifiedImageError: when it is neither grey nor RGB, or compressed in a way that takes other packages.
        DecompressionBombError: when it has more than so many pixels.
    """
    with tifffile.TiffFile(source, offset=0) as file:
        pages: Any = file.pages
        page = next((page for page in pages if not page.is_reduced), pages[0])
        if page.imagewidth * page.imagelength > most or page.size > 4 * most:
            raise Image.DecompressionBombError
        if page.photometric not in (BLACK_IS_ZERO, RGB) or not page.size:
            raise UnidentifiedImageError
        try:
            values = page.asarray()
        except (KeyError, ValueError) as error:
            raise UnidentifiedImageError if "imagecodecs" in str(error) else error from error
        samples = page.samplesperpixel
        if samples > 1:
            values = np.moveaxis(values, 0, -1) if page.planarconfig == SEPARATE else values
            values = values[..., 0] if samples == 2 else values[..., : 4 if any(page.extrasamples[:1]) else 3]
        exif = Image.Exif()
        exif[ORIENTATION] = page.tags.valueof(ORIENTATION, 1)
        return values, {"exif": exif.tobytes(), **({"icc_profile": page.iccprofile} if page.iccprofile else {})}
