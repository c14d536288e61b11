"""Normalisation: every filter's mean activation made one, and nothing else changed."""

from ..images.sources import Entry, Example, Held, Source, list_images
from ..images.stream import PREPARATIONS, ImageStream, Preparation, decoders
from ..network import original
from .at_hand import APPROXIMATE, example_stream, load_normalized, normalize_at_hand
from .check import Check
from .mean_activations import MeanActivations
from .normalize import RECHECK, Job, Normalized, apply, normalize

__all__ = [
    "APPROXIMATE",
    "PREPARATIONS",
    "RECHECK",
    "Check",
    "Entry",
    "Example",
    "Held",
    "ImageStream",
    "Job",
    "MeanActivations",
    "Normalized",
    "Preparation",
    "Source",
    "apply",
    "decoders",
    "example_stream",
    "list_images",
    "load_normalized",
    "normalize",
    "normalize_at_hand",
    "original",
]
