"""Adam within bounds, with an averaged iterate."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .protocol import DivergedError, Evaluation, Numbers


class Adam:
    """PyTorch's Adam, clamped to the bounds after every step; ``best`` is the average of the iterates.

    The average forgets with a rate of 0.99, corrected for its start (Kingma & Ba 2015, section 7.2).

    Args:
        start: where to begin; it is changed in place.
        bounds: least and largest value.
    """

    STEP_SIZE = 0.02
    MEMORY = 0.99

    def __init__(self, start: Tensor, bounds: tuple[float, float] = (0.0, 1.0)) -> None:
        self._point, self._bounds = start.clamp_(*bounds), bounds
        self.best = start.clone()
        self._mass = 0.0
        self._adam = torch.optim.Adam([start], self.STEP_SIZE, fused=True)  # fused, it makes no temporary tensors
        self._adam.state[start] = {
            "step": torch.zeros((), device=start.device),
            "exp_avg": torch.zeros_like(start),
            "exp_avg_sq": torch.zeros_like(start),
        }

    def step(self, evaluate: Callable[[Tensor], Evaluation]) -> Numbers:
        evaluation = evaluate(self._point)
        numbers = evaluation.read()
        if not math.isfinite(numbers.objective):
            raise DivergedError
        with torch.no_grad():
            self._point.grad = evaluation.gradient.contiguous()
            self._adam.step()
            self._point.grad = None
            self._point.clamp_(*self._bounds)
            self._mass += (1 - self._mass) * (1 - self.MEMORY)
            self.best.lerp_(self._point, (1 - self.MEMORY) / self._mass)
        return numbers

    def restart(self) -> None:
        """As ``Optimizer``; the average of the iterates goes on."""

    def state(self) -> dict[str, Any]:
        return {"point": self._point, "best": self.best, "mass": self._mass, "adam": self._adam.state_dict()["state"]}

    def restore(self, state: dict[str, Any]) -> None:
        self._point.copy_(state["point"])
        self.best.copy_(state["best"])
        self._mass = state["mass"]
        self._adam.load_state_dict({**self._adam.state_dict(), "state": state["adam"]})
