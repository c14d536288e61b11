"""L-BFGS within bounds, without a line search."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .protocol import DivergedError, Evaluation, Numbers

#: Multiplies a vector (n,) by a guess of the inverse Hessian, up to a factor, in place.
Precondition = Callable[[Tensor], Tensor]


def _identity(vector: Tensor) -> Tensor:
    return vector


class LBFGS:
    """L-BFGS with one evaluation a step, as Gatys, Ecker & Bethge ran it: no line search, no tolerances.

    Bounds are kept by projection: values at a bound that would leave it are held, the step is made for the others, and
    cut off where it meets a bound (a projected quasi-Newton method, Schmidt, Kim & Sra 2011).
    ``best`` is the evaluated point of least objective. A step that raises the objective is undone and retried, at
    most half as long.

    Args:
        start: where to begin; it is changed in place.
        pairs: steps, with the gradient's change over each, that the inverse Hessian is made from.
        precondition: a guess of the inverse Hessian that they improve on.
        dtype: of the pairs, which take most of the memory; that of ``start`` when there is none.
        bounds: least and largest value.
    """

    #: Mean change of a value by the first step, before any curvature is known: enough for float32 to tell the
    #: gradients at its two ends apart.
    FIRST_STEP = 0.01

    #: Largest mean change of a value by any step. Where a pair has seen little curvature the next step would leap.
    LARGEST_STEP = 0.1

    #: A step is undone when the objective rises to more than so many times what it was.
    RISE = 1.0

    #: Mean change of a value below which a step that led to no finite objective is not halved again.
    SMALLEST_STEP = 1e-6

    def __init__(
        self,
        start: Tensor,
        pairs: int = 32,
        precondition: Precondition = _identity,
        dtype: torch.dtype | None = None,
        bounds: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self._point, self._bounds = start.clamp_(*bounds), bounds
        self._values = start.view(-1)
        self.best = start.clone()
        self._least = self._objective = math.inf
        self._scale = 1.0
        self._begun = False
        self._gradient, self._step = torch.zeros_like(self._values), torch.zeros_like(self._values)
        self._precondition = precondition
        self._pairs = CurvaturePairs(pairs, self._values, precondition, dtype)

    def step(self, evaluate: Callable[[Tensor], Evaluation]) -> Numbers:
        evaluation = evaluate(self._point)
        numbers = evaluation.read()
        if numbers.objective < self._least:
            self._least = numbers.objective
            self.best.copy_(self._point)
        gradient = evaluation.gradient.contiguous().view(-1)
        step = (self._next_step if self._begun else self._first_step)(gradient, numbers.objective)
        there = step.add_(self._values).clamp_(*self._bounds)
        torch.sub(there, self._values, out=self._step)
        self._values.copy_(there)
        return numbers

    def _first_step(self, gradient: Tensor, objective: float) -> Tensor:
        if not math.isfinite(objective):
            raise DivergedError
        self._begun, self._objective = True, objective
        if len(self._pairs):  # after a restart
            self._gradient.copy_(gradient).mul_(self._scale)
            return self._next_direction(torch.as_tensor(self.LARGEST_STEP))
        # Pairs are passed over by the size of their product, so the objective's scale is fixed.
        self._scale = 1 / (float(_mean_size(gradient)) or 1.0)
        self._gradient.copy_(gradient).mul_(self._scale)
        held = self._held(self._gradient)
        step = self._precondition(self._gradient.neg().masked_fill_(held, 0)).masked_fill_(held, 0)
        return step.mul_(self.FIRST_STEP / _mean_size(step).clamp(min=torch.finfo(step.dtype).tiny))

    def _next_step(self, gradient: Tensor, objective: float) -> Tensor:
        gradient = gradient.mul_(self._scale)
        limit = torch.as_tensor(self.LARGEST_STEP)
        change = gradient - self._gradient
        if objective <= self.RISE * self._objective:
            self._objective = objective
            self._gradient.copy_(gradient)
        else:
            self._values.sub_(self._step)
            limit = _mean_size(self._step) / 2
            if limit < self.SMALLEST_STEP and not math.isfinite(objective):
                raise DivergedError
        if math.isfinite(objective):
            self._pairs.add(self._step, change)
        return self._next_direction(limit)

    def _next_direction(self, limit: Tensor) -> Tensor:
        held = self._held(self._gradient)
        step = self._pairs.direction(self._gradient.masked_fill(held, 0)).masked_fill_(held, 0)
        return step.mul_((limit / _mean_size(step)).clamp(max=1))

    def _held(self, gradient: Tensor) -> Tensor:
        """Where a value at a bound would leave it."""
        least, largest = self._bounds
        return ((self._values <= least) & (gradient > 0)) | ((self._values >= largest) & (gradient < 0))

    def restart(self) -> None:
        self._point.copy_(self.best)
        self._least, self._begun = math.inf, False

    def state(self) -> dict[str, Any]:
        return {
            "point": self._point,
            "best": self.best,
            "least": self._least,
            "objective": self._objective,
            "scale": self._scale,
            "begun": self._begun,
            "gradient": self._gradient,
            "step": self._step,
            "pairs": self._pairs.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """As ``Optimizer``; of more pairs than are kept here, the latest are taken."""
        for name, own in (("point", self._point), ("best", self.best), ("gradient", self._gradient)):
            own.copy_(state[name])
        self._step.copy_(state["step"])
        self._least, self._objective = state["least"], state["objective"]
        self._scale, self._begun = state["scale"], state["begun"]
        self._pairs.restore(state["pairs"])


class CurvaturePairs:
    """The latest steps s with the gradient's change y over each, and the inverse Hessian that they make.

    With the steps for rows of S, the changes for rows of Y, R the upper triangle of S Yᵀ and D its diagonal, the
    product of that inverse with a gradient g is P q + Sᵀ R⁻ᵀ (D a - Y P q), where a = R⁻¹ S g, q = g - Yᵀ a and P is
    the guess that the pairs improve on (Byrd, Nocedal & Schnabel 1994, theorem 2.2).

    Args:
        capacity: how many pairs are kept; the oldest gives way.
        like: a vector (n,) of the size and on the device of those to come.
        precondition: P.
        dtype: of the pairs; that of ``like`` when there is none.
    """

    #: Pairs of a smaller product s y tell of rounding or of negative curvature, and are passed over, as in PyTorch.
    LEAST_PRODUCT = 1e-10

    def __init__(
        self, capacity: int, like: Tensor, precondition: Precondition = _identity, dtype: torch.dtype | None = None
    ) -> None:
        self._capacity, self._precondition = capacity, precondition
        self._rows: list[int] = []  # of both matrices, from the oldest pair to the latest
        # Products are with all rows from the first pair on: oneDNN compiles code for every number of rows.
        self._steps, self._changes = (like.new_zeros(capacity, like.numel(), dtype=dtype) for _ in range(2))
        self._triangle = like.new_empty(0, 0)
        self._scale = like.new_ones(())

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, step: Tensor, change: Tensor) -> None:
        """Takes in a pair, (n,) each, unless the objective did not curve upwards along it."""
        product = change.dot(step)
        if product <= self.LEAST_PRODUCT:
            return
        row = self._rows.pop(0) if len(self._rows) == self._capacity else len(self._rows)
        self._rows.append(row)
        self._steps[row], self._changes[row] = step, change
        self._scale = product / change.dot(change)
        before, size = self._triangle, len(self._rows)
        oldest = len(before) + 1 - size
        self._triangle = step.new_zeros(size, size)
        self._triangle[:-1, :-1] = before[oldest:, oldest:]
        self._triangle[:, -1] = self._dots(self._steps, change)
        self._triangle[-1, -1] = product

    def direction(self, gradient: Tensor) -> Tensor:
        """Minus the inverse Hessian times a gradient, (n,), in place: where to go."""
        if not self._rows:
            return self._precondition(gradient.neg_())
        alphas = _solved(self._triangle, self._dots(self._steps, gradient), upper=True)
        product = self._precondition(self._add(self._changes, -alphas, gradient)).mul_(self._scale)
        rest = self._triangle.diagonal() * alphas - self._dots(self._changes, product)
        return self._add(self._steps, _solved(self._triangle.mT, rest, upper=False), product).neg_()

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs."""
        steps, changes = ([matrix[row] for row in self._rows] for matrix in (self._steps, self._changes))
        return {
            "rows": list(self._rows),
            "steps": steps,
            "changes": changes,
            "triangle": self._triangle,
            "scale": self._scale,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state, of any capacity."""
        latest = slice(-self._capacity, None)
        steps, changes = state["steps"][latest], state["changes"][latest]
        rows = state["rows"][latest]
        # In the same rows as before sums are rounded alike.
        self._rows = rows if max(rows, default=0) < self._capacity else list(range(len(rows)))
        for row, step, change in zip(self._rows, steps, changes, strict=True):
            self._steps[row], self._changes[row] = step, change
        self._triangle, self._scale = state["triangle"][latest, latest].clone(), state["scale"].clone()

    def _dots(self, matrix: Tensor, vector: Tensor) -> Tensor:
        """The products (k,) of the pairs' rows with a vector (n,), from the oldest on."""
        return (matrix @ vector.to(matrix.dtype)).to(vector.dtype)[self._rows]

    def _add(self, matrix: Tensor, weights: Tensor, vector: Tensor) -> Tensor:
        """A vector (n,) and the pairs' rows, each by its weight (k,), in place."""
        ordered = matrix.new_zeros(self._capacity)
        ordered[self._rows] = weights.to(matrix.dtype)
        return vector.add_(ordered @ matrix)


def _solved(triangle: Tensor, right: Tensor, upper: bool) -> Tensor:
    return torch.linalg.solve_triangular(triangle, right[:, None], upper=upper)[:, 0]


def _mean_size(vector: Tensor) -> Tensor:
    return vector.abs().mean()
