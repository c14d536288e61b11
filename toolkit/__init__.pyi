from .errors import ToolkitError
from .export import export_features, export_step
from .network import Network, load_network, save_network
from .pictures.formats import save_image
from .pictures.io import example_photographs, open_image
from .synthesis import Checkpoint, ContentLoss, Inputs, Objective, Recipe, Result, StyleLoss, Synthesis

__version__: str

__all__ = [
    "Checkpoint",
    "ContentLoss",
    "Inputs",
    "Network",
    "Objective",
    "Recipe",
    "Result",
    "StyleLoss",
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
