"""Images by optimisation: reconstruction, texture, amalgamation, style transfer.

The core is read in this order: recipe, statistics, losses, pullback, objective, pyramid, synthesis.
"""

from .budget import Plan, plan
from .checkpoint import Checkpoint
from .ingredients import ingredients
from .objective import Objective
from .recipe import PRESETS, Recipe
from .regions import Region, suggest_regions
from .synthesis import Progress, Synthesis

__all__ = [
    "PRESETS",
    "Checkpoint",
    "Objective",
    "Plan",
    "Progress",
    "Recipe",
    "Region",
    "Synthesis",
    "ingredients",
    "plan",
    "suggest_regions",
]
