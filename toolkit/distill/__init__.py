"""Distillation: a narrow VGG that carries what a normalised one's layers carry."""

from .evaluate import explained_variance
from .student import Student
from .train import Distillation, Schedule, Step, read_checkpoint

__all__ = ["Distillation", "Schedule", "Step", "Student", "explained_variance", "read_checkpoint"]
