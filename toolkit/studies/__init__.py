"""Studies: labelled sweeps over syntheses."""

from .axes import AXES, Axis, Variation, parse_axis
from .grid import Cell, Step, Study, data, picture

__all__ = ["AXES", "Axis", "Cell", "Step", "Study", "Variation", "data", "parse_axis", "picture"]
