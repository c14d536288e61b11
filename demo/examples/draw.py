"""Draw the example style images: `python -m demo.examples.draw [--output FOLDER] [--size 768] [NAME ...]`."""

import argparse
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from demo.examples.canvas import Array
from demo.examples.garden import oil_garden
from demo.examples.glass import stained_glass
from demo.examples.ink import ink_wash
from demo.examples.marbling import marbled_paper
from demo.examples.mosaic import mosaic
from demo.examples.night import night_swirls
from demo.examples.pointillism import pointillism
from demo.examples.woodblock import woodblock_waves

STYLES: dict[str, Callable[[np.random.Generator], Array]] = {
    "night_swirls": night_swirls,
    "oil_garden": oil_garden,
    "pointillism": pointillism,
    "stained_glass": stained_glass,
    "mosaic": mosaic,
    "woodblock_waves": woodblock_waves,
    "ink_wash": ink_wash,
    "marbled_paper": marbled_paper,
}

LARGEST_FILE = 330_000


def render(name: str, size: int) -> Image.Image:
    """Draw one style and reduce it so that its longest side is `size` pixels."""
    # Each style has a seed of its own, so that drawing one alone gives the same picture as drawing all.
    picture = STYLES[name](np.random.default_rng(zlib.crc32(name.encode())))
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    scale = size / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def encode(image: Image.Image) -> bytes:
    """Compress to JPEG, giving up a little quality where the texture is too rich for `LARGEST_FILE`."""
    data = b""
    for quality in range(93, 82, -1):
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        data = buffer.getvalue()
        if len(data) <= LARGEST_FILE:
            break
    return data


def main() -> None:
    """Draw the styles named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description="Draw the example style images.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(STYLES)}")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="FOLDER")
    parser.add_argument("--size", type=int, default=768, help="longest side in pixels")
    options = parser.parse_args()
    unknown = set(options.names) - set(STYLES)
    if unknown:
        parser.error(f"unknown style: {', '.join(sorted(unknown))}")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or STYLES:
        target = options.output / f"{name}.jpg"
        target.write_bytes(encode(render(name, options.size)))
        print(target)


if __name__ == "__main__":
    main()
