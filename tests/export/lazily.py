"""ONNX Runtime is imported when a graph is first run, not with the command line."""

import contextlib
import sys

import torch

from toolkit.cli import main
from toolkit.export import Session, features_model
from toolkit.network import CONVENTIONS, Architecture, Network

with contextlib.suppress(SystemExit):
    main(["--version"])
assert "onnxruntime" not in sys.modules

network = Network(Architecture("vgg11", (2,) * 5), CONVENTIONS["caffe"])
session = Session(features_model(network, ["relu1_1"]))
session.run({"image": torch.rand(1, 3, 8, 8)}, {"relu1_1": (1, 2, 8, 8)})
assert "onnxruntime" in sys.modules
