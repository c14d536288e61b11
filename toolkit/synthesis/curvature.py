"""What L-BFGS knows of an objective's curvature: its latest steps, and how the gradient changed over each."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class _Pair(NamedTuple):
    """A step s and the gradient's change y over it, (n,) each, and 1 / (y s), ()."""

    step: Tensor
    change: Tensor
    inverse_product: Tensor


class CurvaturePairs:
    """The latest steps with the gradient's change over each, and the inverse Hessian that they make.

    Its product with a gradient takes two passes over the pairs (Nocedal & Wright 2006, algorithm 7.4). They are bound
    by memory: at 512 x 384 twenty pairs are 94 MB, read twice. So no vector but the product is made, and no scalar of
    the recursion leaves the device. In bfloat16 the pairs serve as well, but then a CPU takes 13 % longer at 512 x 384
    and 80 % at 2048 x 1536 (measured).

    Args:
        capacity: how many pairs are kept; the oldest gives way.
        guess: the inverse Hessian that they improve on, up to a factor; multiplies a vector (n,), in place.
        dot: the product () of two vectors; of several processes that have a part of each, the same on all.
    """

    #: Pairs of a smaller product tell of rounding, or of negative curvature, and are passed over, as in PyTorch.
    LEAST_PRODUCT = 1e-10

    def __init__(
        self,
        capacity: int,
        guess: Callable[[Tensor], Tensor],
        dot: Callable[[Tensor, Tensor], Tensor] = torch.dot,
    ) -> None:
        self._pairs: deque[_Pair] = deque(maxlen=capacity)
        self._guess, self._dot = guess, dot
        self._scale: Tensor | float = 1.0

    def add(self, step: Tensor, change: Tensor) -> None:
        """Takes in a pair, (n,) each, unless the objective did not curve upwards along it; it keeps them, uncopied."""
        product = self._dot(change, step)
        if product > self.LEAST_PRODUCT:
            self._pairs.append(_Pair(step, change, 1 / product))
            self._scale = product / self._dot(change, change)

    def direction(self, gradient: Tensor) -> Tensor:
        """Minus the inverse Hessian times a gradient, (n,): where to go."""
        found = gradient.neg()
        alphas = []
        for step, change, inverse_product in reversed(self._pairs):
            alphas.append(self._dot(step, found) * inverse_product)
            found.addcmul_(change, alphas[-1], value=-1)
        found = self._guess(found).mul_(self._scale)
        for (step, change, inverse_product), alpha in zip(self._pairs, reversed(alphas), strict=True):
            found.addcmul_(step, alpha - self._dot(change, found) * inverse_product)
        return found

    def state(self) -> dict[str, Any]:
        """Everything that ``restore`` needs."""
        return {"pairs": [tuple(pair) for pair in self._pairs], "scale": self._scale}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state."""
        self._pairs.clear()
        self._pairs.extend(_Pair(*pair) for pair in state["pairs"])
        self._scale = state["scale"]
