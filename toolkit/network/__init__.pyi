from .architecture import DEPTHS, Architecture, Layer
from .backbone import Backbone, ModuleBackbone, fingerprint_of
from .codebook import Codebook, quantize
from .files import (
    PRECISIONS,
    fingerprint,
    load_network,
    normalized_for,
    rounded,
    save_network,
    weights_fingerprint,
)
from .find import DEFAULT_NETWORK, find_network, model_folders
from .foreign import LAYOUTS, write_foreign
from .rescale import original, rescale, scales
from .vgg import CONVENTIONS, POOLINGS, Network, Preprocessing

__all__ = [
    "CONVENTIONS",
    "DEFAULT_NETWORK",
    "DEPTHS",
    "LAYOUTS",
    "POOLINGS",
    "PRECISIONS",
    "Architecture",
    "Backbone",
    "Codebook",
    "Layer",
    "ModuleBackbone",
    "Network",
    "Preprocessing",
    "find_network",
    "fingerprint",
    "fingerprint_of",
    "load_network",
    "model_folders",
    "normalized_for",
    "original",
    "quantize",
    "rescale",
    "rounded",
    "save_network",
    "scales",
    "weights_fingerprint",
    "write_foreign",
]
