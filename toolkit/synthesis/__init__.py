"""Images by optimisation: reconstruction, texture, amalgamation, style transfer."""

from .engine import Progress, Synthesis
from .recipe import PRESETS, Recipe

__all__ = ["PRESETS", "Progress", "Recipe", "Synthesis"]
