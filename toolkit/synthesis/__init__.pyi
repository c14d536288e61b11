from .budget import Plan, plan
from .checkpoint import Checkpoint
from .clip import ClipSynthesis
from .inputs import Inputs, MadeFrom
from .objective import Objective
from .recipe import PRESETS, Recipe
from .regions import Region, suggest_regions
from .result import Result, made_from_in
from .synthesis import Progress, Synthesis
from .targets import Targets, find_targets
from .training import ContentLoss, StyleLoss

__all__ = [
    "PRESETS",
    "Checkpoint",
    "ClipSynthesis",
    "ContentLoss",
    "Inputs",
    "MadeFrom",
    "Objective",
    "Plan",
    "Progress",
    "Recipe",
    "Region",
    "Result",
    "StyleLoss",
    "Synthesis",
    "Targets",
    "find_targets",
    "made_from_in",
    "plan",
    "suggest_regions",
]
