"""Optimisers of a tensor within bounds, one evaluation of loss and gradient a step. They know nothing of images."""

from .adam import Adam
from .early_stop import EarlyStop
from .lbfgs import LBFGS
from .protocol import DivergedError, Evaluation, Optimizer

__all__ = ["LBFGS", "Adam", "DivergedError", "EarlyStop", "Evaluation", "Optimizer"]
