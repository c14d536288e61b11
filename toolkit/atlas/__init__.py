"""The channel atlas: the image patches that excite each channel of a layer most."""

from .at_hand import images_at_hand
from .atlas import LAYERS, SUFFIX, Atlas, Patch, Step, measure

__all__ = ["LAYERS", "SUFFIX", "Atlas", "Patch", "Step", "images_at_hand", "measure"]
