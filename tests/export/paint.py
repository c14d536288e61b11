"""Paints with numpy and ONNX Runtime alone: ten steps of plain gradient descent, whose losses are saved."""

import sys

import numpy as np
import onnxruntime

step = onnxruntime.InferenceSession("step.onnx", providers=["CPUExecutionProvider"])
shapes = {given.name: [size if isinstance(size, int) else 1 for size in given.shape] for given in step.get_inputs()}
none = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def targets_of(picture, kind):
    """The targets of a kind, ``content`` or ``gram``: what the step says of the picture itself."""
    own = {name: name.removeprefix("content_") for name in shapes if name.startswith("content_relu")}
    own |= {name: f"{name.removeprefix('gram_')}_gram" for name in shapes if name.startswith("gram_")}
    names = [name for name in own if name.startswith(kind)]
    found = step.run([own[name] for name in names], {**none, "image": np.load(picture)})
    return dict(zip(names, found, strict=True))


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
