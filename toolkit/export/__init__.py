"""A network, and one step of a synthesis, as ONNX: written, checked, and run by ONNX Runtime."""

from .graphs import features_model, step_model
from .runtime import OnnxObjective, Session
from .writing import export_features, export_step
