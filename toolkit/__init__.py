"""Normalised VGG networks (Gatys, Ecker & Bethge 2016), and images synthesised with them.

>>> import toolkit
>>> network = toolkit.load_network("vgg19-small")
>>> photo = toolkit.example_photographs()["coffee"]
>>> network(photo, ["relu4_2"])["relu4_2"].shape
torch.Size([1, 160, 50, 75])
"""

from . import process

process.configure_threads()  # before PyTorch is imported: its threads read these settings once

__version__ = "0.2.0"

from .errors import ToolkitError  # noqa: E402
from .export import export_features, export_step  # noqa: E402
from .network import Network, load_network, save_network  # noqa: E402
from .pictures.formats import save_image  # noqa: E402
from .pictures.io import example_photographs, open_image  # noqa: E402
from .synthesis import Checkpoint, Inputs, Objective, Recipe, Result, Synthesis  # noqa: E402

__all__ = [
    "Checkpoint",
    "Inputs",
    "Network",
    "Objective",
    "Recipe",
    "Result",
    "Synthesis",
    "ToolkitError",
    "example_photographs",
    "export_features",
    "export_step",
    "load_network",
    "open_image",
    "save_image",
    "save_network",
]
