"""A recipe made into an image: a stream of progress that can be left at any point with the best image in hand."""

import copy
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import __version__
from ..errors import ToolkitError
from ..memory import BASE
from ..network import Network, fingerprint
from ..pictures import cover, fit, resize
from .objective import Objective
from .optimizers import OPTIMIZERS
from .recipe import Ingredients, Recipe


@dataclass(frozen=True)
class Progress:
    """Where a synthesis stands after an evaluation.

    ``losses`` are before their weights, by name (``content relu4_2``, ``style relu1_1``, ``total variation``);
    ``objective`` is their weighted sum; ``preview`` gives the best image so far, (1, 3, H, W) in [0, 1].
    """

    evaluation: int
    evaluations: int
    objective: float
    losses: dict[str, float]
    seconds: float
    preview: Callable[[], Tensor]


class Synthesis:
    """One synthesis. Iterate over it to run it; ``image`` is its best image at any time.

    ``runs_on`` says what computes.

    Args:
        network: best a normalised one; it is left as it is.
        recipe: what to make.
        content: (1, 3, H, W), RGB in [0, 1], of any size; resized to the recipe's.
        styles: (1, 3, h, w) each, resized likewise.
        start: where to start when the recipe says ``image``; fitted to the result's size.
        device: where to compute.
        objective: what computes losses and gradient.
        masks: where each style is to show, (1, 1, H, W) in [0, 1] each; resized to the result. Everywhere when none.
        memory: bytes to stay within; larger images are worked on in tiles, and L-BFGS remembers less.

    Raises:
        ToolkitError: when an image that the recipe needs is missing or too small, or a layer unknown.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        *,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        start: Tensor | None = None,
        device: str | torch.device = "cpu",
        objective: type[Objective] = Objective,
        masks: Sequence[Tensor] = (),
        memory: int | None = None,
    ) -> None:
        self.recipe = recipe.with_(
            made_from=Ingredients(
                toolkit=__version__,
                network=fingerprint(network),
                content=_pixels(content),
                styles=tuple(hashes for style in styles if (hashes := _pixels(style))),
                start=_pixels(start),
                masks=tuple(hashes for mask in masks if (hashes := _pixels(mask))),
            )
        )
        network = _placed(network, torch.device(device), getattr(torch, recipe.precision))
        content = None if content is None else fit(content, recipe.size).to(device)
        styles = [fit(style, recipe.size).to(device) for style in styles]
        image = _start(recipe, content, styles, start).to(device, copy=True).contiguous()
        masks = [resize(mask.to(device), (image.shape[-2], image.shape[-1])) for mask in masks]
        self._objective = objective(network, recipe, content, styles, masks, _for_features(memory, network, image))
        self.runs_on = self._objective.runs_on
        self._optimizer = OPTIMIZERS[recipe.optimizer](image, None if memory is None else memory // 2)

    @property
    def image(self) -> Tensor:
        """The best image so far, (1, 3, H, W) float32 in [0, 1], on the CPU."""
        return self._optimizer.best.detach().clamp(0, 1).cpu()

    def __iter__(self) -> Iterator[Progress]:
        """Runs the recipe's evaluations, yielding after each.

        Raises:
            ToolkitError: when the optimisation diverges; ``image`` is then the best before that.
        """
        began = time.monotonic()
        for number in range(1, self.recipe.evaluations + 1):
            evaluation = self._optimizer.step(self._objective)
            yield Progress(
                number,
                self.recipe.evaluations,
                evaluation.objective,
                evaluation.losses,
                time.monotonic() - began,
                lambda: self.image,
            )


def _for_features(memory: int | None, network: Network, image: Tensor) -> int | None:
    """What is left for features beside the libraries, the weights (twice: the way back has its own) and the images.

    The optimizer may have half of it all.
    """
    if memory is None:
        return None
    weights = sum(parameter.nbytes for parameter in network.parameters())
    base = BASE if image.device.type == "cpu" else 0
    return max(1, memory // 2 - base - 2 * weights - 2 * image.nbytes)


def _placed(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """The network on that device and in that type: itself when it is there, else a copy."""
    parameter = next(network.parameters())
    if (parameter.device, parameter.dtype) == (device, dtype):
        return network
    return copy.deepcopy(network).to(device=device, dtype=dtype).to(memory_format=torch.channels_last)


def _start(recipe: Recipe, content: Tensor | None, styles: Sequence[Tensor], start: Tensor | None) -> Tensor:
    """The first image, of the content's size if there is one, else of the style's, else of its own."""
    frame = next((image for image in (content, *styles, start) if image is not None), None)
    if frame is None:
        raise ToolkitError(f"A {recipe.synthesis} needs an image: name one.")
    size = (frame.shape[-2], frame.shape[-1])
    match recipe.start:
        case "content" | "style" | "image":
            given = {"content": content, "style": styles[0] if styles else None, "image": start}[recipe.start]
            if given is None:
                raise ToolkitError(f"The recipe starts from the {recipe.start}, but there is none: name it.")
            return cover(given, size)
        case "noise":
            return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(recipe.seed))
        case "grey":
            return torch.full((1, 3, *size), 0.5)


def _pixels(image: Tensor | None) -> str | None:
    return None if image is None else hashlib.sha256(image.cpu().contiguous().numpy().tobytes()).hexdigest()
