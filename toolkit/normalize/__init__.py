"""Normalisation: every filter's mean activation made one, and nothing else changed."""

from .at_hand import APPROXIMATE, example_stream, load_normalized, normalize_at_hand
from .check import Check
from .mean_activations import MeanActivations
from .normalize import RECHECK, Job, Normalized, apply, normalize

__all__ = [
    "APPROXIMATE",
    "RECHECK",
    "Check",
    "Job",
    "MeanActivations",
    "Normalized",
    "apply",
    "example_stream",
    "load_normalized",
    "normalize",
    "normalize_at_hand",
]
