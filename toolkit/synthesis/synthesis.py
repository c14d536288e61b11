"""A recipe made into an image: a stream of progress that can be left at any point with the best image in hand."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..device import native_bfloat16
from ..errors import ToolkitError
from ..network import Network
from ..network.geometry import check_size
from ..optimize import OPTIMIZERS, EarlyStop, Optimizer
from ..pictures.colour import prepare, with_colours_of
from ..pictures.io import fit, resize
from .ingredients import ingredients
from .needs import check_images
from .objective import MakeObjective, Objective
from .preconditioner import Preconditioner
from .pyramid import enlarged, stages, start_image
from .recipe import Recipe


@dataclass(frozen=True)
class Progress:
    """Where a synthesis stands after an iteration.

    ``losses`` are before their weights, by name (``content relu4_2``, ``style relu1_1``, ``total variation``);
    ``objective`` is their weighted sum. ``iteration`` counts those made, of ``iterations`` planned, which become fewer
    when a level ends early. ``remaining`` estimates the seconds that the others take. ``preview`` gives the best image
    so far, (1, 3, h, w) in [0, 1], of the present level's size.
    """

    iteration: int
    iterations: int
    objective: float
    losses: dict[str, float]
    seconds: float
    remaining: float
    preview: Callable[[], Tensor]


class Synthesis:
    """One synthesis. Iterate over it to run it; ``image`` is its best image at any time.

    ``recipe`` is the given one with the fingerprints of what the result is made from. ``skipped`` counts iterations
    that were planned and not made, because the objective hardly fell any more. ``runs_on`` says what computes.

    >>> import torch, toolkit
    >>> network = toolkit.load_network("vgg19-small")
    >>> photo, painting = torch.rand(1, 3, 48, 64), torch.rand(1, 3, 64, 64)
    >>> recipe = toolkit.Recipe.preset("transfer", size=64, iterations=2)
    >>> for progress in Synthesis(network, recipe, content=photo, styles=[painting]):
    ...     print(progress.iteration, "of", progress.iterations)
    1 of 2
    2 of 2

    Args:
        network: one whose mean activations are normalised, unless its losses are to be badly scaled.
        recipe: what to make.
        content: (1, 3, H, W), RGB in [0, 1] or in bytes (uint8), of any size; resized to the recipe's.
        styles: (1, 3, h, w) each, resized likewise.
        start: where to start when the recipe says ``image``; fitted to the result's size.
        masks: where each style is to show, (1, 1, H, W) in [0, 1] each; resized to the result. Everywhere when none.
        style_masks: which part of each style image counts, (1, 1, h, w) in [0, 1] each; resized to it. All when none.
        device: where to compute.
        objective: what computes losses and gradient.
        pairs: of L-BFGS, at most.

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
        masks: Sequence[Tensor] = (),
        style_masks: Sequence[Tensor] = (),
        device: str | torch.device = "cpu",
        objective: MakeObjective = Objective,
        pairs: int = 32,
    ) -> None:
        check_images(recipe, content, styles, masks, style_masks)
        self.recipe = recipe.with_(made_from=ingredients(network, content, styles, start, masks, style_masks))
        self._network, self._device = network, torch.device(device)
        self._content, self._styles, self._start = content, list(styles), start
        self._masks, self._style_masks = list(masks), list(style_masks)
        self._make_objective, self._most_pairs = objective, pairs
        proportions = content if content is not None else styles[0]
        self.stages = stages(recipe, proportions, native_bfloat16(self._device))
        check_size(self.stages[0].frame, network.architecture.down_to(set().union(*recipe.layer_weights)))
        self.skipped = 0
        self._optimizer: Optimizer
        self._begin(0)

    def _begin(self, number: int, previous: Tensor | None = None) -> None:
        """Prepares a stage: its objective, and an optimiser when its size is a new one.

        Args:
            number: of the stage.
            previous: the best image of the stage before, of any size.
        """
        stage, recipe = self.stages[number], self.recipe
        longest = max(stage.frame)
        content = None if self._content is None else fit(self._content, longest).to(self._device)
        style_size = max(1, round(longest * recipe.style_scale))
        styles = [fit(style, style_size).to(self._device) for style in self._styles]
        content, styles = prepare(recipe.colour, content, styles)
        optimizer = None
        if previous is None or previous.shape[-2:] != stage.frame:
            image = start_image(recipe, stage.frame, content, styles, self._start).to(self._device)
            image = enlarged(previous, image) if previous is not None else image.clone()
            optimizer = self._make_optimizer(image.contiguous(), stage.frame)
        dtype = torch.bfloat16 if stage.precision == "bfloat16" else torch.float32
        masks = [resize(mask.to(self._device), stage.frame) for mask in self._masks]
        style_masks = [
            resize(mask.to(self._device), (style.shape[-2], style.shape[-1]))
            for mask, style in zip(self._style_masks, styles, strict=False)
        ]
        network = self._network.at(self._device, dtype)
        objective = self._make_objective(network, recipe, content, styles, masks, style_masks)
        # Nothing changes before all of it is there: whoever interrupts finds the stage before, whole.
        self._objective, self._optimizer = objective, optimizer or self._optimizer
        self._number, self._done, self._early_stop = number, 0, EarlyStop()
        self.runs_on = objective.runs_on

    def _make_optimizer(self, image: Tensor, frame: tuple[int, int]) -> Optimizer:
        # Those of all stages of this size: the optimiser goes on from one to the next, and is restored in any of them.
        iterations = sum(stage.iterations for stage in self.stages if stage.frame == frame)
        pairs = max(1, min(self._most_pairs, math.ceil(iterations / 2)))  # the last ones would hardly be used
        # In bfloat16 they take half the memory, and serve as well.
        return OPTIMIZERS[self.recipe.optimizer].make(image, pairs, Preconditioner(image), torch.bfloat16)

    @property
    def best(self) -> Tensor:
        """The best image so far as it is being optimised: on the device, of the present level's size."""
        return self._optimizer.best

    @property
    def image(self) -> Tensor:
        """The best image so far, (1, 3, H, W) float32 in [0, 1], on the CPU, of the recipe's size."""
        return self._finished(self.stages[-1].frame)

    def _finished(self, frame: tuple[int, int]) -> Tensor:
        best = resize(self.best, frame).clamp(0, 1).cpu()
        if self.recipe.colour == "luminance" and self._content is not None:
            return with_colours_of(best, resize(self._content, frame))
        return best

    @property
    def iteration(self) -> int:
        """How many iterations were made so far."""
        return sum(stage.iterations for stage in self.stages[: self._number]) + self._done - self.skipped

    def __iter__(self) -> Iterator[Progress]:
        """Makes the iterations that are left, yielding after each.

        Raises:
            ToolkitError: when the optimisation diverges; ``image`` is then the best before that.
        """
        began = time.monotonic()
        while True:
            stage = self.stages[self._number]
            stage_began, made = time.monotonic(), 0
            while self._done < stage.iterations:
                evaluation = self._optimizer.step(self._objective)
                self._done += 1
                made += 1
                if self.recipe.early_stop and self._early_stop.ends(evaluation.objective):
                    self.skipped += stage.iterations - self._done
                    self._done = stage.iterations
                now = time.monotonic()
                yield Progress(
                    self.iteration,
                    self.recipe.iterations - self.skipped,
                    evaluation.objective,
                    evaluation.losses,
                    now - began,
                    (now - stage_began) / made * self._left(),
                    lambda: self._finished(self.stages[self._number].frame),
                )
            if self._number + 1 == len(self.stages):
                return
            self._begin(self._number + 1, self.best)

    def _left(self) -> float:
        """The iterations left, in units of one at the present size."""
        present, *later = self.stages[self._number :]
        pixels = sum(each.iterations * math.prod(each.frame) for each in later)
        return present.iterations - self._done + pixels / math.prod(present.frame)

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs to go on as if nothing had happened."""
        return {
            "recipe": self.recipe.to_json(),
            "stage": self._number,
            "done": self._done,
            "skipped": self.skipped,
            "least": list(self._early_stop.least),
            "optimizer": self._optimizer.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state of the same synthesis.

        Raises:
            ToolkitError: when the state is of another recipe, network or image.
            KeyError: when it is no state of a synthesis.
        """
        if state["recipe"] != self.recipe.to_json():
            raise ToolkitError("It belongs to another recipe, network or image.")
        self._begin(state["stage"])
        self._optimizer.restore(state["optimizer"])
        self._done, self.skipped = state["done"], state["skipped"]
        self._early_stop = EarlyStop(state["least"])
