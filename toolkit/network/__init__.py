"""VGG networks: architectures, layers by name, weights with provenance."""

from .vgg import CONVENTIONS, DEPTHS, POOLINGS, Architecture, Layer, Network, Pooling, Preprocessing
from .weights import BUNDLED, MODEL_FOLDERS, find_network, fingerprint, load_network, save_network, weights_fingerprint

__all__ = [
    "BUNDLED",
    "CONVENTIONS",
    "DEPTHS",
    "MODEL_FOLDERS",
    "POOLINGS",
    "Architecture",
    "Layer",
    "Network",
    "Pooling",
    "Preprocessing",
    "find_network",
    "fingerprint",
    "load_network",
    "save_network",
    "weights_fingerprint",
]
