"""A recipe's losses as PyTorch modules, to train a network of one's own on."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..errors import ToolkitError
from ..network import Backbone
from .inputs import Inputs
from .objective import Objective
from .recipe import Recipe


class _Mean(torch.autograd.Function):
    """The mean of one objective an image. The gradient comes with the value, and is kept until it is asked for."""

    @staticmethod
    def forward(context: Any, images: Tensor, objectives: Iterable[Objective]) -> Tensor:
        context.dtype, exact = images.dtype, torch.promote_types(images.dtype, torch.float32)
        with torch.autocast(images.device.type, enabled=False):
            pairs = zip(objectives, images.detach().to(exact).split(1), strict=False)
            found = [objective(image) for objective, image in pairs]
        context.save_for_backward(torch.cat([each.gradient for each in found]) / len(images))
        return torch.stack([each.objective for each in found]).mean()

    @staticmethod
    @once_differentiable
    def backward(context: Any, slope: Tensor) -> tuple[Tensor, None]:
        (gradient,) = context.saved_tensors
        return (gradient * slope).to(context.dtype), None


class _RecipeLoss(nn.Module):
    """What both losses share: the network where the images are. PyTorch takes it for no part of the module."""

    def __init__(self, network: Backbone, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self._given, self._moved = (network,), (network,)

    def _network(self, images: Tensor) -> Backbone:
        kind, dtype = images.device.type, torch.promote_types(images.dtype, torch.float32)
        if torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.bfloat16:
            dtype = torch.bfloat16
        if (self._moved[0].device, self._moved[0].dtype) != (images.device, dtype):
            self._moved = (self._given[0].at(images.device, dtype),)
        return self._moved[0]


class StyleLoss(_RecipeLoss):
    """The style loss that a recipe asks for, as the mean over a batch of images.

    Layers, weights, statistic, formula and the size of the style images are the recipe's; its colours, finish and total
    variation have no part in it. Value and gradient are computed together in closed form, one image after the other: a
    batch takes hardly more memory than an image. There is no second derivative.

    The module has no weights and no state. It computes where the images are, in float32, or in float64 as they are.
    Under autocast to bfloat16 the network computes in that, and statistics in float32; under autocast to float16 all is
    in float32. ``torch.compile`` leaves the loss as it is, and compiles what is before and after it.

    >>> import toolkit
    >>> recipe = toolkit.Recipe.preset("transfer", style_statistic="gram")
    >>> loss = StyleLoss(toolkit.load_network("vgg19-small"), recipe, [torch.rand(1, 3, 64, 64)])
    >>> images = torch.rand(4, 3, 48, 64, requires_grad=True)
    >>> loss(images).backward()
    >>> images.grad.shape
    torch.Size([4, 3, 48, 64])

    Args:
        network: normalised, unless its losses are to be badly scaled.
        recipe: which layers and weights, and which statistic.
        styles: (1, 3, h, w) each, RGB in [0, 1] or in bytes, of any size.
        masks: ``masks`` of every image and ``style_masks``, as ``Inputs`` takes them.

    Raises:
        ToolkitError: when the recipe has no style loss, or the style images or masks do not suit it.
    """

    def __init__(self, network: Backbone, recipe: Recipe, styles: Sequence[Tensor], **masks: Any) -> None:
        super().__init__(network, recipe.with_(content_weight=0, total_variation_weight=0))
        self.inputs = Inputs(None, styles, **masks)
        self.inputs.check(self.recipe)
        self._found: tuple[Any, ...] = (None, None, None)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, images: Tensor) -> Tensor:
        """The loss, (), of images (N, 3, H, W), RGB in [0, 1].

        Raises:
            ToolkitError: for an unknown layer, or images that are too small for the deepest one.
        """
        return _Mean.apply(images, self._objectives(self._network(images), images))

    def _objectives(self, network: Backbone, images: Tensor) -> Iterator[Objective]:
        size = (images.shape[-2], images.shape[-1])
        if self._found[:2] != (network, size):  # targets are found once for images of one size
            inputs = self.inputs.at(self.recipe, size, images.device)
            self._found = (network, size, Objective(network, self.recipe, inputs))
        yield from repeat(self._found[2])


class ContentLoss(_RecipeLoss):
    """The content loss that a recipe asks for, as the mean over a batch of images; in all else as ``StyleLoss``.

    The sum of both is what a synthesis minimises, but for total variation.

    >>> import toolkit
    >>> loss = ContentLoss(toolkit.load_network("vgg19-small"), toolkit.Recipe.preset("transfer"))
    >>> photos = torch.rand(2, 3, 48, 64)
    >>> float(loss(photos, photos))
    0.0

    Args:
        network: as of ``StyleLoss``.
        recipe: which layers and weights.

    Raises:
        ToolkitError: when the recipe has no content loss.
    """

    def __init__(self, network: Backbone, recipe: Recipe) -> None:
        super().__init__(network, recipe.with_(style_weight=0, total_variation_weight=0))

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, images: Tensor, contents: Tensor) -> Tensor:
        """The loss, (), of images against a content image each, (N, 3, H, W) both, RGB in [0, 1].

        Raises:
            ToolkitError: as of ``StyleLoss``, and when the two differ in shape.
        """
        if images.shape != contents.shape:
            raise ToolkitError(
                f"The images have the shape {tuple(images.shape)} and their content images {tuple(contents.shape)}: "
                "give each image a content image of its size."
            )
        network = self._network(images)
        contents = contents.detach().to(torch.promote_types(contents.dtype, torch.float32))
        return _Mean.apply(images, (Objective(network, self.recipe, Inputs(each)) for each in contents.split(1)))
