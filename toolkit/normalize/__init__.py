"""Normalisation: every filter's mean activation made one, and nothing else changed."""

from .images import PREPARATIONS, ImageStream, Preparation, list_images
from .normalization import Proof, normalize

__all__ = ["PREPARATIONS", "ImageStream", "Preparation", "Proof", "list_images", "normalize"]
