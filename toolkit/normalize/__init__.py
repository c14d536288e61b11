"""Normalisation: every filter's mean activation made one, and nothing else changed."""

from .images import PREPARATIONS, ImageStream, Preparation, decoders
from .normalization import Job, Normalized, Proof, apply_scales, normalize
from .scales import Scales
from .sources import Entry, Example, list_images

__all__ = [
    "PREPARATIONS",
    "Entry",
    "Example",
    "ImageStream",
    "Job",
    "Normalized",
    "Preparation",
    "Proof",
    "Scales",
    "apply_scales",
    "decoders",
    "list_images",
    "normalize",
]
