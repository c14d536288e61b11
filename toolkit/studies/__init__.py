"""Studies: grids of syntheses in which two things vary."""

from .axes import AXES, Axis, Kind, Variation, parse_axis
from .grid import Cell, Place, Step, Study, data, picture, places
