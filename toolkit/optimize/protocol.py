"""What an optimiser is, and what it is given."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..errors import ToolkitError


class Numbers(NamedTuple):
    """The numbers of an evaluation: the objective, and each loss before its weight."""

    objective: float
    losses: dict[str, float]


class Evaluation(NamedTuple):
    """One evaluation, on the device: the objective (), a weighted sum of losses; each of them before its weight, ();
    and the objective's gradient.
    """

    objective: Tensor
    losses: dict[str, Tensor]
    gradient: Tensor

    def read(self) -> Numbers:
        """The numbers, for those who decide on them or show them: an iteration's one wait for its losses."""
        objective, *losses = torch.stack([self.objective, *self.losses.values()]).tolist()
        return Numbers(objective, dict(zip(self.losses, losses, strict=True)))


class Optimizer(Protocol):
    """Minimises an objective within bounds, one evaluation a step, in whatever shape the tensor has."""

    @property
    def best(self) -> Tensor:
        """The best point so far: what is handed over however the optimisation ends."""

    def step(self, evaluate: Callable[[Tensor], Evaluation]) -> Numbers:
        """Evaluates at the present point, moves on, and tells what was found there.

        Raises:
            DivergedError: when no finite objective is found.
        """

    def restart(self) -> None:
        """Goes on from the best point when the objective changes; what is known of the curvature is kept."""

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs, as tensors, numbers, and lists and dictionaries of them.

        The tensors are the optimiser's own, gigabytes for a large image: they are to be saved before the next step.
        """

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state of an optimiser of the same kind and a tensor of the same shape."""


class DivergedError(ToolkitError):
    """The objective is no longer finite."""

    def __init__(self) -> None:
        super().__init__("The optimisation diverged: lower the weights, or compute in float32.")
