from .architecture import DEPTHS, Architecture, Layer
from .backbone import Backbone, Field, ModuleBackbone, as_trained, channels, check_layers, field_of, fingerprint
from .files import load_vgg, normalized_for, rounded, save_network, weights_fingerprint
from .find import DEFAULT_NETWORK, find_network, in_model_folders, is_module, model_folders, with_scales
from .foreign import write_foreign
from .modules import ModuleHeader, load_module, load_network, read_scales, save_scales
from .rescale import original, rescale
from .vgg import CONVENTIONS, POOLINGS, Network, Preprocessing

__all__ = [
    "CONVENTIONS",
    "DEFAULT_NETWORK",
    "DEPTHS",
    "POOLINGS",
    "Architecture",
    "Backbone",
    "Field",
    "Layer",
    "ModuleBackbone",
    "ModuleHeader",
    "Network",
    "Preprocessing",
    "as_trained",
    "channels",
    "check_layers",
    "field_of",
    "find_network",
    "fingerprint",
    "in_model_folders",
    "is_module",
    "load_module",
    "load_network",
    "load_vgg",
    "model_folders",
    "normalized_for",
    "original",
    "read_scales",
    "rescale",
    "rounded",
    "save_network",
    "save_scales",
    "weights_fingerprint",
    "with_scales",
    "write_foreign",
]
