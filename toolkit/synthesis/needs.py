"""What a recipe needs: as many images, weights and masks as go together."""

from collections.abc import Sequence

from torch import Tensor

from ..errors import ToolkitError
from .recipe import Recipe


def check_images(
    recipe: Recipe,
    content: Tensor | None,
    styles: Sequence[Tensor],
    masks: Sequence[Tensor] = (),
    style_masks: Sequence[Tensor] = (),
) -> None:
    """Refuses images that do not suit a recipe.

    Raises:
        ToolkitError: when one is missing or has another shape, there are not as many weights or masks as style images,
            or a style mask leaves nothing of its style image.
    """
    content_weights, style_weights = recipe.layer_weights
    if content_weights and content is None:
        raise ToolkitError(f"A {recipe.synthesis} needs a content image: name one.")
    if style_weights and not styles:
        raise ToolkitError(f"A {recipe.synthesis} needs a style image: name at least one.")
    for what, given in (("weights", recipe.style_image_weights), ("masks", masks), ("style masks", style_masks)):
        if given and len(given) != len(styles):
            raise ToolkitError(f"There are {len(styles)} style images but {len(given)} {what}: give one for each.")
    images = [*styles, *([] if content is None else [content])]
    for channels, tensors in ((3, images), (1, [*masks, *style_masks])):
        for shape in (tuple(tensor.shape) for tensor in tensors):
            if shape[:-2] != (1, channels):
                raise ToolkitError(
                    f"An image or mask has the shape {shape}: it must be (1, {channels}, height, width)."
                )
    for number, mask in enumerate(style_masks, 1):
        if not mask.any():
            raise ToolkitError(f"Style mask {number} is black: make the part of the style image that counts bright.")
