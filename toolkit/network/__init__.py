"""VGG networks: architectures, layers by name, files of weights with their provenance."""

from .architecture import DEPTHS, Architecture, Layer
from .codebook import Codebook, quantize
from .files import (
    PRECISIONS,
    Precision,
    fingerprint,
    load_network,
    normalized_for,
    rounded,
    save_network,
    weights_fingerprint,
)
from .find import DEFAULT_NETWORK, find_network, model_folders
from .foreign import LAYOUTS, Layout, write_foreign
from .rescale import original, rescale, scales
from .vgg import CONVENTIONS, POOLINGS, Network, Pooling, Preprocessing

__all__ = [
    "CONVENTIONS",
    "DEFAULT_NETWORK",
    "DEPTHS",
    "LAYOUTS",
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
