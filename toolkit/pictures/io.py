"""Images: opened, as tensors and back, resized.

In this package a *picture* is a Pillow image, an *image* a tensor (N, 3, H, W), RGB in [0, 1].
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..choices import PHOTOGRAPHS
from .decode import decoded, opaque, opened, stored


def open_image(source: str | Path | BinaryIO, *, background: str = "white") -> Tensor:
    """Opens an image file in one of ``decode.FORMATS``: turned upright, its colours those of sRGB.

    Args:
        source: a path, or an open file.
        background: a colour, by name or as #rrggbb, behind transparent parts.

    Returns:
        (1, 3, H, W) float32, RGB in [0, 1].

    Raises:
        ToolkitError: when the file is missing, no image, damaged, or has more than ``decode.MAX_PIXELS`` pixels.
    """
    return to_tensor(open_picture(source, background=background))


def open_picture(
    source: str | Path | BinaryIO, name: str | None = None, *, background: str = "white", as_stored: bool = False
) -> Image.Image:
    """Opens an image file as ``open_image`` does, as an RGB picture.

    Args:
        source: a path, or an open file.
        name: of the file in error messages; default: its path.
        background: behind transparent parts.
        as_stored: gives the pixels as ``decode.stored`` does instead.

    Raises:
        ToolkitError: as ``open_image``.
    """
    with opened(source, name) as picture:
        return stored(picture) if as_stored else opaque(picture, background)


def open_alpha(source: str | Path | BinaryIO) -> Tensor | None:
    """How opaque an image file is, (1, 1, H, W) in [0, 1]; ``None`` when it has no transparent part.

    Raises:
        ToolkitError: as ``open_image``.
    """
    with opened(source) as picture:
        _, alpha = decoded(picture)
    return None if alpha is None else to_tensor(alpha)


def open_mask(source: str | Path | BinaryIO) -> Tensor:
    """Opens a mask: bright where it is painted, in any colour on black or on nothing, or in black on nothing.

    Returns:
        (1, 1, H, W) float32 in [0, 1].

    Raises:
        ToolkitError: as ``open_image``.
    """
    with opened(source) as picture:
        colours, alpha = decoded(picture)
    bright = to_tensor(colours).amax(1, keepdim=True)
    if alpha is None:
        return bright
    opaque = to_tensor(alpha)
    return painted if (painted := bright * opaque).any() else opaque


def to_tensor(picture: Image.Image) -> Tensor:
    """An RGB picture as an image (1, 3, H, W), float32 in [0, 1]; a grey one as (1, 1, H, W)."""
    return to_floats(to_uint8(picture))


def to_floats(image: Tensor) -> Tensor:
    """An image of bytes (uint8) as float32 in [0, 1]; any other image unchanged."""
    return image.float().div_(255) if image.dtype == torch.uint8 else image


def to_uint8(picture: Image.Image) -> Tensor:
    """An RGB picture as bytes (1, 3, H, W), uint8, channels last in memory; a grey one as (1, 1, H, W)."""
    pixels = torch.from_numpy(np.array(picture, dtype=np.uint8))
    return pixels.view(picture.height, picture.width, -1).permute(2, 0, 1).unsqueeze(0)


def to_picture(image: Tensor) -> Image.Image:
    """An image (1, 3, H, W), clamped to [0, 1], as an RGB picture of eight bits; with a fourth channel as RGBA."""
    return Image.fromarray(to_integers(image, torch.uint8).numpy())


def to_integers(image: Tensor, dtype: torch.dtype) -> Tensor:
    """An image (1, C, H, W), clamped to [0, 1], as (H, W, C) unsigned integers on the CPU."""
    # By channel, for little memory.
    white = torch.iinfo(dtype).max
    channels = [channel.clamp(0, 1).mul_(white).round_().to("cpu", dtype) for channel in image.detach()[0]]
    return torch.stack(channels, -1)


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


def example_photographs() -> dict[str, Tensor]:
    """The public-domain photographs of ``PHOTOGRAPHS``, by name, (1, 3, H, W) each."""
    from skimage import data  # slow to import

    return {name: to_tensor(Image.fromarray(getattr(data, name)())) for name in PHOTOGRAPHS}
