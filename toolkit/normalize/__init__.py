"""Normalisation: every filter's mean activation made one, and nothing else changed."""

from .default import example_stream, load_backbone, load_normalized, normalize_by_default
from .mean_activations import MeanActivations
from .normalize import RECHECK, Normalized, Pass, apply, normalize
