"""VGG networks: architectures, layers by name, files of weights with their provenance."""

from .architecture import DEPTHS, Architecture, Layer
from .codebook import Codebook, quantize
from .files import (
    PRECISIONS,
    Precision,
    fingerprint,
    load_network,
    rounded,
    save_network,
    weights_fingerprint,
)
from .find import DEFAULT_NETWORK, MODEL_FOLDERS, find_network
from .foreign import LAYOUTS, Layout, write_foreign
from .rescale import original, rescale, scales
from .vgg import CONVENTIONS, POOLINGS, Network, Pooling, Preprocessing

__all__ = [
    "CONVENTIONS",
    "DEFAULT_NETWORK",
    "DEPTHS",
    "LAYOUTS",
    "MODEL_FOLDERS",
    "POOLINGS",
    "PRECISIONS",
    "Architecture",
    "Codebook",
    "Layer",
    "Layout",
    "Network",
    "Pooling",
    "Precision",
    "Preprocessing",
    "find_network",
    "fingerprint",
    "load_network",
    "original",
    "quantize",
    "rescale",
    "rounded",
    "save_network",
    "scales",
    "weights_fingerprint",
    "write_foreign",
]
