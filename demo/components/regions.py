"""Regions painted on the content image, one for each style."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageColor, ImageFilter
from torch import Tensor

from toolkit.pictures.io import fit, resize, to_picture
from toolkit.synthesis import Region

from ..gradio_internals import as_layer
from .images import opened_with_alpha

#: Colours for the regions of the second style and on. Unpainted parts belong to the first style.
COLOURS = ("#3cb44b", "#4363d8", "#ffe119")

#: Most style images.
STYLES = 1 + len(COLOURS)

#: What a visitor sees of each style's region.
NAMES = ("the rest", "green", "blue", "yellow")

#: Longest side in pixels of a style image that shows a part.
PART = 320

#: Blur of the regions' edges, as a share of the longest side: a hard edge would cut brush strokes in two.
FEATHER = 0.01


def masks(painted: dict[str, Any] | None, count: int) -> list[Tensor]:
    """One mask for each style, from the value of a ``gr.ImageEditor``.

    Args:
        painted: the editor's value.
        count: number of styles.

    Returns:
        ``count`` masks, (1, 1, H, W) in [0, 1], which sum to 1 everywhere; none when nothing was painted or there is
        only one style.
    """
    layers: Sequence[Image.Image] = (painted or {}).get("layers") or []
    if count < 2 or not layers:
        return []
    # A layer that was suggested is as large as the canvas, not as the picture in its corner.
    size = ((painted or {}).get("background") or layers[0]).size
    strokes = Image.new("RGBA", size)
    for layer in layers:
        strokes.alpha_composite(layer.convert("RGBA").crop((0, 0, *size)))
    pixels = np.asarray(strokes, dtype=np.float32)
    if not pixels[..., 3].any():
        return []
    palette = np.array([[int(colour[n : n + 2], 16) for n in (1, 3, 5)] for colour in COLOURS[: count - 1]], np.float32)
    nearest = np.square(pixels[..., None, :3] - palette).sum(-1).argmin(-1)
    owner = np.where(pixels[..., 3] > 127, nearest + 1, 0)
    feather = ImageFilter.GaussianBlur(FEATHER * max(strokes.size))
    blurred = [Image.fromarray((255 * (owner == n)).astype(np.uint8)).filter(feather) for n in range(count)]
    stacked = torch.from_numpy(np.stack([np.asarray(mask, np.float32) for mask in blurred]))
    return [mask[None, None] for mask in stacked / stacked.sum(0).clamp(min=1)]


def parts(suggested: Sequence[Region], styles: Sequence[Tensor]) -> list[Image.Image]:
    """The style images, each transparent but for the part that its suggested region answers to."""
    found = {region.style: region.part for region in suggested}
    shown = [fit(style, PART) for style in styles]
    return [
        to_picture(torch.cat([image, resize(found[number], (image.shape[-2], image.shape[-1]))], 1))
        for number, image in enumerate(shown)
    ]


def style_masks(paths: Sequence[str]) -> list[Tensor]:
    """Which part of each style image counts, (1, 1, h, w): where the pictures at the paths, as ``parts``, are opaque.

    Raises:
        ToolkitError: when one cannot be read.
    """
    images = [opened_with_alpha(path, "style part") for path in paths]
    return [image[:, 3:] if image.shape[1] == 4 else torch.ones_like(image[:, :1]) for image in images]


def painted(suggested: Sequence[Region], picture: Image.Image, side: int) -> dict[str, Any]:
    """Suggested regions as paint on a picture, in their styles' colours, for an editor with a canvas of that side."""
    frame = (picture.height, picture.width)
    owner = torch.cat([resize(region.mask, frame) for region in suggested], 1)[0].argmax(0)
    clear = [(0, 0, 0, 0), *((*ImageColor.getrgb(colour), 255) for colour in COLOURS)]
    paint = np.array([clear[region.style] for region in suggested], np.uint8)[owner.numpy()]
    return {"background": picture, "layers": [as_layer(Image.fromarray(paint), side)], "composite": None}
