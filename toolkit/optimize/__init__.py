"""Optimisers of a tensor within bounds, one evaluation of loss and gradient a step. They know nothing of images."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..choices import OptimizerName
from .adam import Adam
from .early_stop import EarlyStop
from .lbfgs import LBFGS, Precondition
from .protocol import DivergedError, Evaluation, Numbers, Optimizer


class Kind(NamedTuple):
    """A kind of optimiser.

    ``make``: from the start, the number of curvature pairs, a preconditioner, and the pairs' type. ``tensors``: how
    many tensors of the start's size an iteration holds, gradient and temporary ones included, beside the pairs.
    ``keeps_pairs``: whether it keeps any.
    """

    make: Callable[[Tensor, int, Precondition, torch.dtype | None], Optimizer]
    tensors: int
    keeps_pairs: bool


OPTIMIZERS: dict[OptimizerName, Kind] = {
    "lbfgs": Kind(LBFGS, 8, True),
    "adam": Kind(lambda start, *_: Adam(start), 6, False),
}
