"""A recipe made into an image: a stream of progress that can be left at any point with the best image in hand."""

import functools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..device import available, native_bfloat16
from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..network import Backbone, check_layers
from ..optimize import OPTIMIZERS, EarlyStop, Optimizer
from ..pictures.colour import with_colours_of
from ..pictures.io import resize
from .budget import plan
from .inputs import Inputs, MadeFrom
from .objective import MakeObjective, ObjectiveLike
from .preconditioner import Preconditioner
from .pyramid import Stage, enlarged, stages, start_image
from .recipe import Recipe
from .result import Result

#: By a stage's precision.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Progress:
    """Where a synthesis stands after an iteration.

    ``losses`` are before their weights, by name (``content relu4_2``, ``style relu1_1``, ``total variation``);
    ``objective`` is their weighted sum. ``iteration`` counts those made, of ``iterations`` planned, which become fewer
    when a level ends early. ``remaining`` estimates the seconds that the others take. ``preview`` gives the best image
    when it is called, (1, 3, h, w) in [0, 1], of the level's size. Of a clip all are counted together; ``frame`` is the
    one in work, of about ``frames``.
    """

    iteration: int
    iterations: int
    objective: float
    losses: dict[str, float]
    seconds: float
    remaining: float
    preview: Callable[[], Tensor]
    frame: int = 0
    frames: int = 0


class MismatchError(ToolkitError):
    """A state belongs to another synthesis; ``differences`` says what differs."""

    def __init__(self, differences: str) -> None:
        super().__init__(f"It was made with {differences}.")
        self.differences = differences


class Synthesis:
    """One synthesis. Iterate over it to run it; ``image`` is its best image at any time, ``result`` tells all of it.

    ``iteration`` counts the iterations made. ``skipped`` counts those that were planned and not made, because the
    objective hardly fell any more. ``runs_on`` says what computes.

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
        inputs: what to make it from; or else the images by name, as ``Inputs`` takes them.
        device: where to compute.
        memory: bytes to stay within; what the device has free when it is not said. An image that does not fit is
            computed in tiles.
        ranks: the processes that share the tiles.
        make_objective: makes what computes losses and gradient, in place of PyTorch, whole or in tiles.
        schedule: the stages to go through, in place of the recipe's.

    Raises:
        ToolkitError: when an image that the recipe needs is missing or too small, a layer unknown, or the memory too
            little.
    """

    def __init__(
        self,
        network: Backbone,
        recipe: Recipe,
        inputs: Inputs | None = None,
        *,
        device: str | torch.device = "cpu",
        memory: float | None = None,
        ranks: Ranks = ALONE,
        make_objective: MakeObjective | None = None,
        schedule: Sequence[Stage] | None = None,
        **images: Any,
    ) -> None:
        self.inputs = inputs or Inputs(**images)
        self.inputs.check(recipe)
        self.recipe = recipe
        self._network, self._device = network, torch.device(device)
        self.stages = schedule or stages(recipe, self.inputs.proportions, native_bfloat16(self._device))
        check_layers(network, set().union(*recipe.layer_weights), self.stages[0].size, recipe.seamless)
        memory = min(ranks.all_gather(available(self._device) if memory is None else memory))
        planned = plan(network, recipe, self.inputs, memory, device=self._device, ranks=ranks)
        self._make_objective, self._most_pairs = make_objective or planned.objective, planned.pairs
        self.iteration = self.skipped = 0
        self._optimizer: Optimizer
        self._objective: ObjectiveLike
        self._losses: dict[str, float]
        self._begin(0)

    def _begin(self, number: int, before: Stage | None = None, matched: Tensor | None = None) -> None:
        """Prepares a stage: its objective, and an optimiser when its size is a new one.

        Args:
            number: of the stage.
            before: the stage that was run before.
            matched: the image for which the finish finds its neighbours, if it is not the best so far.
        """
        stage = self.stages[number]
        recipe = self.recipe.model_copy(update={"content_weight": self.recipe.content_weight * stage.content_factor})
        another_size = before is None or before.size != stage.size
        if before is None or before._replace(iterations=stage.iterations) != stage:  # another objective
            inputs = self.inputs.at(recipe, stage.size, self._device)
            objective = self._make_objective(self._network.at(self._device, DTYPES[stage.precision]), recipe, inputs)
        else:
            objective = self._objective
        if another_size:
            image = start_image(recipe, stage.size, inputs).to(self._device)
            image = enlarged(self.best, image) if before else image.clone()
            optimizer = self._make_optimizer(image.contiguous(), stage.size)
        else:
            optimizer = self._optimizer
        if stage.with_finish:
            matched = optimizer.best.clone() if matched is None else matched
            objective.match(matched)
        # Assign last, so an interrupt leaves the previous stage intact.
        if another_size or stage.with_finish:
            self._least, self._losses = math.inf, {}
            optimizer.restart()
        self._optimizer, self._objective, self._matched = optimizer, objective, matched
        self._number, self._done, self._ended, self._early_stop = number, 0, False, EarlyStop()
        self.runs_on = objective.runs_on

    def _make_optimizer(self, image: Tensor, size: tuple[int, int]) -> Optimizer:
        # Those of all stages of this size: the optimiser goes on from one to the next, and is restored in any of them.
        iterations = sum(stage.iterations for stage in self.stages if stage.size == size)
        pairs = max(1, min(self._most_pairs, math.ceil(iterations / 2)))  # the last ones would hardly be used
        # In bfloat16 they take half the memory, and serve as well.
        return OPTIMIZERS[self.recipe.optimizer].make(image, pairs, Preconditioner(image), torch.bfloat16)

    @functools.cached_property
    def made_from(self) -> MadeFrom:
        """What it is made from: told when it is asked for, as large images take a while."""
        return self.inputs.made_from(self._network)

    @property
    def best(self) -> Tensor:
        """The best image so far as it is being optimised: on the device, of the present level's size."""
        return self._optimizer.best

    @property
    def image(self) -> Tensor:
        """The best image so far, (1, 3, H, W) float32 in [0, 1], on the CPU, of the recipe's size."""
        return self._finished(self.stages[-1].size)

    @property
    def result(self) -> Result:
        """The best image so far, with what it was made from and the losses of the level's best iteration."""
        return Result(self.image, self.recipe, self.made_from, self._losses, finished=not self._left())

    def _finished(self, size: tuple[int, int]) -> Tensor:
        best, content = resize(self.best, size).clamp(0, 1).cpu(), self.inputs.content
        if self.recipe.colour == "luminance" and content is not None:
            return with_colours_of(best, resize(content, size))
        return best

    def __iter__(self) -> Iterator[Progress]:
        """Makes the iterations that are left, yielding after each.

        Raises:
            ToolkitError: when the optimisation diverges; ``image`` is then the best before that.
        """
        began = time.monotonic()
        while True:
            stage = self.stages[self._number]
            stage_began, made = time.monotonic(), 0
            while self._done < stage.iterations and not self._ended:
                numbers = self._optimizer.step(self._objective)
                self._done += 1
                self.iteration += 1
                made += 1
                if numbers.objective < self._least:
                    self._least, self._losses = numbers
                if self.recipe.early_stop and self._early_stop.ends(numbers.objective):
                    self._ended = True
                    self.skipped += stage.iterations - self._done
                now = time.monotonic()
                yield Progress(
                    self.iteration,
                    self.recipe.iterations - self.skipped,
                    *numbers,
                    now - began,
                    (now - stage_began) / made * self._left(),
                    lambda: self._finished(self.stages[self._number].size),
                )
            if self._number + 1 == len(self.stages):
                return
            self._begin(self._number + 1, stage)

    def _left(self) -> float:
        """The iterations left, in units of one at the present size."""
        present, *later = self.stages[self._number :]
        pixels = sum(stage.iterations * math.prod(stage.size) for stage in later)
        return (0 if self._ended else present.iterations - self._done) + pixels / math.prod(present.size)

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs to go on as if nothing had happened."""
        return {
            "recipe": self.recipe.to_json(),
            "made_from": self.made_from.model_dump_json(),
            "stage": self._number,
            "iteration": self.iteration,
            "done": self._done,
            "ended": self._ended,
            "skipped": self.skipped,
            "recent": list(self._early_stop.least),
            "least": self._least,
            "losses": self._losses,
            "optimizer": self._optimizer.state(),
            "matched": self._matched,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state of the same synthesis.

        Raises:
            MismatchError: when the state is of another recipe, network or image.
            KeyError: when it is no state of a synthesis, or of another version's.
        """
        was, own = json.loads(state["recipe"]), self.recipe.model_dump(mode="json")
        told = [f"{name} {was.get(name)}, not {own.get(name)}" for name in was | own if was.get(name) != own.get(name)]
        was, own = json.loads(state["made_from"]), self.made_from.model_dump(mode="json")
        told += [f"other {name}" for name in was | own if was.get(name) != own.get(name)]
        if told:
            raise MismatchError(" and ".join(told).replace("_", " "))
        self._begin(state["stage"], matched=state["matched"])
        self._optimizer.restore(state["optimizer"])
        self.iteration, self.skipped = state["iteration"], state["skipped"]
        self._done, self._ended = state["done"], state["ended"]
        self._least, self._losses = state["least"], state["losses"]
        self._early_stop = EarlyStop(state["recent"])
