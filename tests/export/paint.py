"""Paints with numpy and ONNX Runtime alone: ten steps of plain gradient descent, whose losses are saved."""

import sys

import numpy as np
import onnxruntime

targets, step = (
    onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"]) for name in ("targets", "step")
)


def targets_of(picture, kind):
    """The targets of a kind, ``content`` or ``gram``, by the step's names for them."""
    names = [output.name for output in targets.get_outputs() if output.name.startswith(f"{kind}_")]
    return dict(zip(names, targets.run(names, {"image": np.load(picture)}), strict=True))


content, style = targets_of("content.npy", "content"), targets_of("style.npy", "gram")
feeds = {
    **content,
    **style,
    "content_weights": np.full(len(content), 1, np.float32),
    "style_weights": np.full(len(style), 100, np.float32),
}
image, losses = np.load("content.npy"), []
for _ in range(10):
    loss, gradient = step.run(["loss", "gradient"], {"image": image, **feeds})
    losses.append(loss)
    image = image - np.float32(0.01) * gradient / np.abs(gradient).max()
np.save("losses.npy", losses)
assert not {"torch", "toolkit"} & sys.modules.keys()
