"""Normalisation: every filter's mean activation made one, and nothing else changed."""

from ..images.sources import Entry, Example, Held, Source, list_images
from ..images.stream import PREPARATIONS, ImageStream, Preparation, decoders
from .at_hand import APPROXIMATE, example_stream, load_normalized, normalize_at_hand
from .mean_activations import Scales
from .normalize import Job, Normalized, Proof, apply_scales, normalize
from .rescale import original

__all__ = [
    "APPROXIMATE",
    "PREPARATIONS",
    "Entry",
    "Example",
    "Held",
    "ImageStream",
    "Job",
    "Normalized",
    "Preparation",
    "Proof",
    "Scales",
    "Source",
    "apply_scales",
    "decoders",
    "example_stream",
    "list_images",
    "load_normalized",
    "normalize",
    "normalize_at_hand",
    "original",
]
