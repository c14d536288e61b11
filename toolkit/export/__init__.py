"""A network, the targets of a synthesis, and one step of it as ONNX: written, checked, and run by ONNX Runtime."""

from .graphs import PRECISIONS, features_model, step_model, targets_model
from .runtime import OnnxObjective, Session
from .writing import BOUNDS, export_features, export_step, export_targets

__all__ = [
    "BOUNDS",
    "PRECISIONS",
    "OnnxObjective",
    "Session",
    "export_features",
    "export_step",
    "export_targets",
    "features_model",
    "step_model",
    "targets_model",
]
