"""Distillation: trains a narrow VGG whose features, mapped linearly, are those of a normalised one."""

from .student import Student
from .train import Distillation, Schedule, Step

__all__ = ["Distillation", "Schedule", "Step", "Student"]
