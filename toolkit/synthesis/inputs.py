"""The images that a synthesis is made from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from .. import __version__
from ..errors import ToolkitError
from ..network import Backbone, fingerprint
from ..pictures.colour import prepare
from ..pictures.io import fit, resize, to_floats
from .recipe import Recipe

#: A position belongs to a style image where its mask is at least this bright.
HALF = 0.5


class MadeFrom(BaseModel):
    """What a result was made from: the toolkit's version, and SHA-256 fingerprints of the network and the images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    toolkit: str
    network: str
    content: str | None = None
    styles: tuple[str, ...] = ()
    start: str | None = None
    masks: tuple[str, ...] = ()
    style_masks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Inputs:
    """The images that a synthesis is made from: RGB in [0, 1] or in bytes (uint8), of any size.

    >>> Inputs(torch.rand(1, 3, 30, 40), [torch.rand(1, 3, 50, 50)]).proportions
    (30, 40)

    Args:
        content: (1, 3, H, W).
        styles: (1, 3, h, w) each.
        start: where to start when the recipe says ``image``.
        masks: where each style is to show, (1, 1, H, W) in [0, 1] each. Everywhere when none.
        style_masks: which part of each style image counts, (1, 1, h, w) in [0, 1] each. All when none.
    """

    content: Tensor | None = None
    styles: Sequence[Tensor] = ()
    start: Tensor | None = None
    masks: Sequence[Tensor] = ()
    style_masks: Sequence[Tensor] = ()

    @property
    def proportions(self) -> tuple[int, int]:
        """(height, width) of the image whose proportions the result has: the content image, or the first there is.

        Raises:
            ToolkitError: when there is none.
        """
        images = [image for image in (self.content, *self.styles, self.start) if image is not None]
        if not images:
            raise ToolkitError("There is no image to make another from: name one.")
        return images[0].shape[-2], images[0].shape[-1]

    @property
    def nbytes(self) -> int:
        """What the images take in memory."""
        return sum(image.nbytes for image in (self.content, *self.styles, self.start) if image is not None)

    def check(self, recipe: Recipe) -> None:
        """Refuses images that do not suit a recipe.

        Raises:
            ToolkitError: when one is missing or has another shape, there are not as many weights or masks as style
                images, or a style mask leaves nothing of its style image.
        """
        content_weights, style_weights = recipe.layer_weights
        if content_weights and self.content is None:
            raise ToolkitError(f"A {recipe.synthesis} needs a content image: name one.")
        if style_weights and not self.styles:
            raise ToolkitError(f"A {recipe.synthesis} needs a style image: name at least one.")
        weights, count = recipe.style_image_weights, len(self.styles)
        for what, given in (("weights", weights), ("masks", self.masks), ("style masks", self.style_masks)):
            if given and len(given) != count:
                raise ToolkitError(f"There are {count} style images but {len(given)} {what}: give one for each.")
        images = [*self.styles, *([] if self.content is None else [self.content])]
        for channels, tensors in ((3, images), (1, [*self.masks, *self.style_masks])):
            for shape in (tuple(tensor.shape) for tensor in tensors):
                if shape[:-2] != (1, channels):
                    raise ToolkitError(
                        f"An image or mask has the shape {shape}: it must be (1, {channels}, height, width)."
                    )
        for number, mask in enumerate(self.style_masks, 1):
            if not mask.any():
                raise ToolkitError(
                    f"Style mask {number} is black: make the part of the style image that counts bright."
                )

    def at(self, recipe: Recipe, size: tuple[int, int], device: torch.device) -> Self:
        """The inputs for a level of (height, width): resized, in the recipe's colours, on a device.

        The start image stays as it is.
        """
        longest = max(size)
        content = None if self.content is None else fit(self.content, longest).to(device)
        styles = [fit(style, style_size(recipe, longest)).to(device) for style in self.styles]
        content, styles = prepare(recipe.colour, content, styles)
        parts = zip(self.style_masks, styles, strict=False)
        return replace(
            self,
            content=content,
            styles=styles,
            masks=[resize(mask.to(device), size) for mask in self.masks],
            style_masks=[resize(mask.to(device), (style.shape[-2], style.shape[-1])) for mask, style in parts],
        )

    def made_from(self, network: Backbone) -> MadeFrom:
        """The fingerprints of the network and the images."""
        return MadeFrom(
            toolkit=__version__,
            network=fingerprint(network),
            content=None if self.content is None else pixels_fingerprint(self.content),
            styles=tuple(map(pixels_fingerprint, self.styles)),
            start=None if self.start is None else pixels_fingerprint(self.start),
            masks=tuple(map(pixels_fingerprint, self.masks)),
            style_masks=tuple(map(pixels_fingerprint, self.style_masks)),
        )


def style_size(recipe: Recipe, longest: int) -> int:
    """The longest side of the style images for a result whose longest side is ``longest``, in pixels."""
    return max(1, round(longest * recipe.style_scale))


def pixels_fingerprint(image: Tensor) -> str:
    """The SHA-256 of an image, (1, C, H, W), as float32."""
    digest = hashlib.sha256()
    for channel in image[0]:  # by channel, for little memory
        digest.update(to_floats(channel).cpu().contiguous().numpy().data)
    return digest.hexdigest()
