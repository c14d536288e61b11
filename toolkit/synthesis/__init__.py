"""Images by optimisation: reconstruction, texture, amalgamation, style transfer."""

from .recipe import PRESETS, Recipe
from .synthesis import Progress, Synthesis

__all__ = ["PRESETS", "Progress", "Recipe", "Synthesis"]
