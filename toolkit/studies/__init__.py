"""Studies: labelled sweeps over syntheses, and the image patches that excite a channel most."""

from .at_hand import images_at_hand
from .atlas import LAYERS, Atlas, Patch, measure
from .axes import AXES, Axis, Kind, Variation, parse_axis
from .grid import Cell, Step, Study, data, picture

__all__ = [
    "AXES",
    "LAYERS",
    "Atlas",
    "Axis",
    "Cell",
    "Kind",
    "Patch",
    "Step",
    "Study",
    "Variation",
    "data",
    "images_at_hand",
    "measure",
    "parse_axis",
    "picture",
]
