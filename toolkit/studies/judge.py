"""What is left of a content and of a style in a picture, under a network: one instrument for every comparison."""

from typing import NamedTuple

from torch import Tensor

from ..errors import ToolkitError
from ..network import Network
from ..pictures.io import cover, fit, resize
from ..synthesis import Inputs, Objective, Recipe

#: A loss below it is rounding.
LEAST = 1e-12


class Judgement(NamedTuple):
    """By layer, shares of a loss.

    ``content``: the picture's content loss over that of the style image, which holds none of the content.
    ``style``: the picture's style loss over that of the content image, which holds none of the style.
    ``style_of_all``: the same for all style layers together, by the recipe's weights.
    """

    content: dict[str, float]
    style: dict[str, float]
    style_of_all: float


def judge(network: Network, picture: Tensor, content: Tensor, style: Tensor, recipe: Recipe | None = None) -> Judgement:
    """Compares a picture with the content image and the style image that it was made from.

    The content image is resized to the picture's size, the style image as a synthesis of that size does.

    Args:
        network: the judge; best the normalised VGG-19.
        picture: (1, 3, H, W), RGB in [0, 1].
        content: (1, 3, h, w), in the picture's proportions.
        style: (1, 3, h, w).
        recipe: which layers, and the size of the style image; a transfer's, by Gram matrices, when there is none.

    Raises:
        ToolkitError: when picture and content have other proportions, content and style are alike, or an image is too
            small.
    """
    recipe = recipe or Recipe.preset("transfer", style_statistic="gram")
    height, width = picture.shape[-2:]
    if abs(content.shape[-1] * height - content.shape[-2] * width) > 0.02 * content.shape[-1] * height:
        raise ToolkitError("The picture and the content image have other proportions: name the image it was made from.")
    photograph = resize(content, (height, width))
    painting = fit(style, max(1, round(max(height, width) * recipe.style_scale)))
    objective = Objective(network, recipe, Inputs(photograph, [painting]))
    after, before, other = (
        objective(image).read().losses for image in (picture, photograph, cover(painting, (height, width)))
    )
    names = {name: f"style {name}" for name in recipe.style_layers}
    content_lost = {name: _over(after[f"content {name}"], other[f"content {name}"]) for name in recipe.content_layers}
    style_left = {name: _over(after[loss], before[loss]) for name, loss in names.items()}
    total, start = (
        sum(weight * losses[names[name]] for name, weight in recipe.style_layers.items()) for losses in (after, before)
    )
    return Judgement(content_lost, style_left, _over(total, start))


def _over(loss: float, reference: float) -> float:
    if reference < LEAST:
        raise ToolkitError("The content image and the style image are the same to the network: name two that differ.")
    return loss / reference
