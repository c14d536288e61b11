"""The channel atlas: the image patches that excite each channel of a layer most."""

from .atlas import LAYERS, Atlas, Patch, Step, measure
from .examples import example_images
