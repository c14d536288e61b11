"""What an optimiser is, and what it is given."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from ..errors import ToolkitError


class Evaluation(NamedTuple):
    """One evaluation: the objective (a weighted sum), each loss before its weight, and the objective's gradient."""

    objective: float
    losses: dict[str, float]
    gradient: Tensor


class ObjectiveLike(Protocol):
    """What an optimiser minimises: a point in, an ``Evaluation`` out.

    Computed over a whole image, over tiles and processes, or by ONNX Runtime. ``runs_on`` says what computes.
    """

    runs_on: str

    def __call__(self, image: Tensor, /) -> Evaluation:
        """Every loss, and the gradient of their weighted sum."""


class Optimizer(Protocol):
    """Minimises an objective within bounds, one evaluation a step, in whatever shape the tensor has."""

    @property
    def best(self) -> Tensor:
        """The best point so far: what is handed over however the optimisation ends."""

    def step(self, evaluate: Callable[[Tensor], Evaluation]) -> Evaluation:
        """Evaluates at the present point, and moves on.

        Raises:
            DivergedError: when no finite objective is found.
        """

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs, as tensors, numbers, and lists and dictionaries of them."""

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state of an optimiser of the same kind and a tensor of the same shape."""


class DivergedError(ToolkitError):
    """The objective is no longer finite."""

    def __init__(self) -> None:
        super().__init__("The optimisation diverged: lower the weights, or compute in float32.")
