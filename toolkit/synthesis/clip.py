"""A clip as moving pictures: a scene's first frame is painted like a photograph, and each other from the one before.

A frame begins as the painted frame before it, warped by the optical flow of the clip and mirrored beyond its edges;
where the flow is not to be believed, as the painted frame plus what has changed in the clip. A temporal loss holds it
there, loosely in the second case, and beyond the edges not at all (Ruder, Dosovitskiy & Brox 2016). Only the finest
level is left to do, with the finish.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from ..choices import TEMPORAL
from ..device import available, native_bfloat16
from ..network import Backbone
from ..pictures.colour import luminance
from ..pictures.flow import motion, warped
from ..pictures.io import fit, resize
from .budget import plan
from .image_losses import ImageLoss, Temporal
from .inputs import Inputs
from .objective import ObjectiveLike
from .pyramid import Stage, size_of, stages
from .recipe import Recipe
from .synthesis import Synthesis
from .targets import Targets

#: Iterations of a frame that follows another, relative to those of a scene's first.
SHARE = 0.2

#: How surely a frame is held where the flow is not to be believed, relative to where it is.
LOOSELY = 0.1

#: A passage is still while no spot changes by more, where the frame's longest side is divided into so many.
STILL, SPOTS = 2 / 255, 64

Kind = Literal["scene", "next", "still"]


class Aimed(ObjectiveLike, Protocol):
    """An objective that tells its targets, and takes one more loss on the image."""

    targets: Targets
    image_losses: list[ImageLoss]


class ClipSynthesis:
    """Paints the frames of a clip one by one: ``show`` each, run its ``synthesis``, ``keep`` the image.

    ``iterations`` says about how many a frame gets that follows another.

    >>> import torch, toolkit
    >>> recipe = toolkit.Recipe.preset("transfer", size=48, iterations=5)
    >>> clip = ClipSynthesis(toolkit.load_network("vgg19-small"), recipe)
    >>> frame = toolkit.synthesis.Inputs(torch.rand(1, 3, 36, 48), [torch.rand(1, 3, 48, 48)])
    >>> clip.show(frame)
    'scene'
    >>> synthesis = clip.synthesis()
    >>> for progress in synthesis:
    ...     pass
    >>> clip.keep(synthesis.image)
    >>> clip.show(frame)
    'still'

    Args:
        network, recipe, device, memory: as ``Synthesis``.
        temporal_weight: of the temporal loss; with 0 each frame is painted by itself.
        make_objective: makes an objective in place of PyTorch's, from what ``Objective`` takes.
    """

    def __init__(
        self,
        network: Backbone,
        recipe: Recipe,
        *,
        temporal_weight: float = TEMPORAL,
        device: str | torch.device = "cpu",
        memory: float | None = None,
        make_objective: Callable[..., Aimed] | None = None,
    ) -> None:
        self._network, self._recipe, self._weight = network, recipe, temporal_weight
        self._device, self._make_objective = torch.device(device), make_objective
        self._memory = available(self._device) if memory is None else memory
        self.iterations = max(1, round(SHARE * recipe.iterations)) if temporal_weight else recipe.iterations
        self._kept: dict[torch.dtype, Aimed] = {}
        self._styles: Inputs | None = None  # with the style images as the frames of a scene compare with them
        self._scene: Inputs
        self._shown: tuple[Inputs, Tensor, Temporal | None]
        self._before: tuple[Inputs, Tensor] | None = None  # of the frame that was painted last: also its content
        self._painted: Tensor

    def show(self, inputs: Inputs, towards: Tensor | None = None, share: float = 0.0) -> Kind:
        """Takes the next frame.

        Args:
            inputs: of the frame; the style images are the same for all.
            towards: an image of the result's size that this one is to resemble as well; and how much.

        Returns:
            Whether it begins a ``scene``, comes ``next``, or is as the one before, ``still``: then nothing is painted.

        Raises:
            ToolkitError: when OpenCV is not installed.
        """
        assert inputs.content is not None
        content = resize(inputs.content, size_of(inputs.proportions, self._recipe.size))
        self._shown = inputs, content, None
        if self._before is None or not self._weight:
            return self._begin()
        earlier, before = self._before
        masks = zip(earlier.masks, inputs.masks, strict=True)
        alike = all(mask is other or torch.equal(mask, other) for mask, other in masks)
        if towards is None and alike and (fit(before, SPOTS) - fit(content, SPOTS)).abs().max() < STILL:
            return "still"
        found = motion(before, content)
        if found.cut:
            return self._begin()
        carried, changed = warped(self._painted, found.flow), self._painted + content - before
        expected = torch.where(found.certain | ~found.inside, carried, changed)
        certain = found.inside * torch.where(found.certain, 1.0, LOOSELY)
        if towards is not None:
            expected, certain = torch.lerp(expected, towards, share), certain + share * (1 - certain)
        expected = expected.clamp(0, 1)
        if self._recipe.colour == "luminance":
            expected = luminance(expected)
        self._shown = inputs, content, Temporal(self._weight, expected, certain)
        return "next"

    def synthesis(self) -> Synthesis:
        """That of the frame that was shown.

        Raises:
            ToolkitError: as ``Synthesis``.
        """
        inputs, content, temporal = self._shown
        whole = stages(self._recipe, inputs.proportions, native_bfloat16(self._device))
        where: Any = {"device": self._device, "memory": self._memory}
        if temporal is None:
            return Synthesis(self._network, self._recipe, inputs, make_objective=self._make_objective, **where)
        make_objective = self._make_objective or plan(self._network, self._recipe, inputs, **where).objective
        if self._styles is None:  # the colours of a scene's first frame are those of all
            self._styles = self._scene.at(self._recipe, whole[-1].size, self._device)
        colour = "luminance" if self._recipe.colour == "luminance" else "style"
        schedule = following(whole, self.iterations)
        recipe = self._recipe.model_copy(
            update={"start": "image", "colour": colour, "iterations": sum(stage.iterations for stage in schedule)}
        )
        loss = temporal._replace(target=temporal.target.to(self._device), certain=temporal.certain.to(self._device))

        def steadied(network: Backbone, recipe: Recipe, inputs: Inputs) -> Aimed:
            earlier = self._kept.get(network.dtype)
            objective = make_objective(network, recipe, inputs, earlier.targets if earlier else None)
            self._kept[network.dtype] = objective
            objective.image_losses.append(loss)
            return objective

        return Synthesis(
            self._network,
            recipe,
            replace(self._styles, content=content, masks=inputs.masks, start=temporal.target),
            make_objective=steadied,
            schedule=schedule,
            **where,
        )

    def keep(self, image: Tensor) -> None:
        """Takes the image that was made of the frame that was shown, (1, 3, H, W) in [0, 1], of the result's size."""
        self._before, self._painted = self._shown[:2], image

    def _begin(self) -> Kind:
        self._scene = self._shown[0]
        if self._recipe.colour in ("covariance", "histogram"):  # the style images get the colours of the scene
            self._styles, self._kept = None, {}
        return "scene"


def following(whole: list[Stage], iterations: int) -> list[Stage]:
    """The stages of a frame that follows another: the finest level's, of the finish if there is one, made shorter.

    Content counts as the recipe says: no coarser level holds the forms, which would fade from frame to frame.
    """
    finest = [stage for stage in whole if stage.size == whole[-1].size]
    finest = [stage for stage in finest if stage.with_finish] or finest
    share = iterations / sum(stage.iterations for stage in finest)
    return [stage._replace(iterations=max(1, round(stage.iterations * share)), content_factor=1.0) for stage in finest]
