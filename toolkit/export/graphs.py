"""ONNX graphs of a network: its features, and the synthesis' loss with its gradient. Standard operators only.

They are put together node by node: a VGG has few kinds of nodes, the gradient is the closed form of
``toolkit.synthesis``, and nothing in the file depends on how an exporter traces.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .. import __version__
from ..errors import ToolkitError
from ..network import Layer, Network, fingerprint

#: How weights are stored: ``float16`` computes in it too, ``int8`` (by filter) computes in float32.
Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")

#: Sizes, and names of those that are free.
Shape = Sequence[int | str]

OPSET = 18
IR_VERSION = 9


class _Graph:
    """Nodes and constants under construction; a value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def __call__(
        self, operator: str, *inputs: str, name: str | None = None, outputs: int = 1, **attributes: Any
    ) -> str:
        """Adds a node and returns the name of its first output; the others are called ``NAME:1`` and so on."""
        name = name or f"{operator}_{len(self.nodes)}"
        names = [name, *(f"{name}:{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, inputs, names, name=name, **attributes))
        return name

    def constant(self, values: Any, dtype: Any = np.float32, name: str | None = None) -> str:
        """Adds a constant and returns its name; equal ones without a name of their own are shared."""
        array = np.array(values, dtype, order="C")
        name = name or f"constant_{array.dtype}_{'x'.join(map(str, array.shape))}_{array.tobytes().hex()}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto], network: Network, text: str
    ) -> onnx.ModelProto:
        """The finished model, with the network's provenance in its metadata."""
        graph = helper.make_graph(
            self.nodes, network.architecture.name, inputs, outputs, list(self.constants.values()), doc_string=text
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="normalized-vgg",
            producer_version=__version__,
            doc_string=text,
        )
        described = {
            "architecture": network.architecture.name,
            "widths": json.dumps(network.architecture.widths),
            "pooling": network.pooling,
            "normalized": json.dumps(bool(network.mean_activations)),
            "fingerprint": fingerprint(network),
            "provenance": json.dumps(network.provenance),
        }
        helper.set_model_props(model, described)
        return model


def features_model(network: Network, layers: Iterable[str], precision: Precision = "float32") -> onnx.ModelProto:
    """A model from ``image`` (batch, 3, height, width), RGB in [0, 1], to one output per layer, float32, by its name.

    Args:
        network: what to export.
        layers: names, such as ``relu4_2``.
        precision: of the weights, and for ``float16`` of the arithmetic.

    Raises:
        ToolkitError: for an unknown layer, or none.
    """
    wanted = set(layers)
    if not wanted:
        raise ToolkitError("There is nothing to export: name at least one layer, such as relu4_2.")
    graph, path = _Graph(), network.architecture.down_to(wanted)
    computed = {layer.name: f"{layer.name}_half" if precision == "float16" else layer.name for layer in path}
    x = _prepared(graph, network, "image")
    if precision == "float16":
        x = graph("Cast", x, to=TensorProto.FLOAT16)
    for layer in path:
        x = _forward(graph, network, layer, x, computed[layer.name], precision)
    outputs = []
    for layer in path:
        if layer.name in wanted:
            if precision == "float16":
                graph("Cast", computed[layer.name], name=layer.name, to=TensorProto.FLOAT)
            shape: Shape = ["batch", layer.channels, f"height_{layer.name}", f"width_{layer.name}"]
            outputs.append(_value(layer.name, shape))
    text = (
        f"{network.architecture.name}, {network.pooling} pooling. In: image, RGB in [0, 1]. Out: the features of "
        f"{', '.join(value.name for value in outputs)}. Weights in {precision}."
    )
    return graph.model([_value("image", ["batch", 3, "height", "width"])], outputs, network, text)


def step_model(network: Network, content_layers: Sequence[str], style_layers: Sequence[str]) -> onnx.ModelProto:
    """A model of one evaluation: every loss, their weighted sum, and its gradient in the image, float32.

    Inputs: ``image`` (1, 3, height, width), RGB in [0, 1]; ``content_LAYER``, the content image's features
    (1, C, h, w); ``gram_LAYER``, the style's Gram matrix F Fᵀ / M, (C, C); ``content_weights`` and ``style_weights``,
    one for each layer in the order given. Outputs: ``loss`` (), ``gradient`` like the image, and
    ``content_loss_LAYER``, ``style_loss_LAYER`` (), before their weights. Losses are the means of squares of
    ``toolkit.synthesis.losses``.

    Args:
        network: what to export.
        content_layers: names; may be empty.
        style_layers: names; may be empty.

    Raises:
        ToolkitError: for an unknown layer, or none at all.
    """
    if not (content_layers or style_layers):
        raise ToolkitError("A step needs a layer: name content layers, style layers, or both.")
    graph = _Graph()
    path = network.architecture.down_to([*content_layers, *style_layers])
    channels = {layer.name: layer.channels for layer in path}
    x = _prepared(graph, network, "image")
    before = {}
    for layer in path:
        before[layer.name] = x
        x = _forward(graph, network, layer, x, layer.name, "float32")
    inputs = [_value("image", [1, 3, "height", "width"])]
    outputs = [_value("loss", []), _value("gradient", [1, 3, "height", "width"])]
    gradients: dict[str, list[str]] = {}
    weighted = []
    for kind, layers, loss in (("content", content_layers, _content), ("style", style_layers, _style)):
        if not layers:
            continue
        inputs.append(_value(f"{kind}_weights", [len(layers)]))
        for number, name in enumerate(layers):
            target = f"content_{name}" if kind == "content" else f"gram_{name}"
            shape: Shape = [channels[name]] * 2 if kind == "style" else [1, channels[name], f"h_{name}", f"w_{name}"]
            inputs.append(_value(target, shape))
            weight = graph("Gather", f"{kind}_weights", graph.constant(number, np.int64), axis=0)
            value, gradient = loss(graph, name, target, weight, channels[name])
            outputs.append(_value(value, []))
            weighted.append(graph("Mul", value, weight))
            gradients.setdefault(name, []).append(gradient)
    graph("Sum", *weighted, name="loss")
    gradient = ""
    for layer in reversed(path):
        parts = [*gradients.get(layer.name, []), *([gradient] if gradient else [])]
        gradient = graph("Sum", *parts) if len(parts) > 1 else parts[0]
        gradient = _backward(graph, layer, network.pooling, before[layer.name], gradient)
    gradient = graph("Mul", gradient, _factor(graph, network))
    if network.preprocessing.channels == "BGR":
        gradient = graph("Gather", gradient, graph.constant([2, 1, 0], np.int64), axis=1)
    graph("Identity", gradient, name="gradient")
    text = (
        f"One evaluation of the synthesis losses on {network.architecture.name}, {network.pooling} pooling: losses "
        "(means of squares of feature and Gram matrix differences), their weighted sum, and its gradient in the image."
    )
    return graph.model(inputs, outputs, network, text)


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _factor(graph: _Graph, network: Network) -> str:
    preprocessing = network.preprocessing
    return graph.constant(np.reshape([preprocessing.range / std for std in preprocessing.std], (1, 3, 1, 1)))


def _prepared(graph: _Graph, network: Network, image: str) -> str:
    """The network's preprocessing."""
    preprocessing = network.preprocessing
    if preprocessing.channels == "BGR":
        image = graph("Gather", image, graph.constant([2, 1, 0], np.int64), axis=1)
    offset = [-mean / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)]
    scaled = graph("Mul", image, _factor(graph, network))
    return graph("Add", scaled, graph.constant(np.reshape(offset, (1, 3, 1, 1))))


def _forward(graph: _Graph, network: Network, layer: Layer, x: str, name: str, precision: Precision) -> str:
    match layer.kind:
        case "conv":
            weight, bias = _weights(graph, network, layer.name, precision)
            return graph("Conv", x, weight, bias, name=name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        case "relu":
            return graph("Relu", x, name=name)
        case "pool":
            window: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
            if network.pooling == "average":
                return graph("AveragePool", x, name=name, **window)
            return graph("MaxPool", x, name=name, outputs=2, **window)


def _weights(graph: _Graph, network: Network, name: str, precision: Precision) -> tuple[str, str]:
    """A convolution's weight and bias."""
    convolution = network.convolution(name)
    assert convolution.bias is not None
    weight, bias = (p.detach().float().cpu().contiguous().numpy() for p in (convolution.weight, convolution.bias))
    if precision == "int8":
        # Symmetric, a step for every filter.
        steps = np.maximum(np.abs(weight).max((1, 2, 3)) / 127, np.finfo(np.float32).tiny)
        levels = np.rint(weight / steps[:, None, None, None])
        stored = graph.constant(levels, np.int8, f"{name}.weight_levels")
        step = graph.constant(steps, np.float32, f"{name}.weight_steps")
        return (
            graph("DequantizeLinear", stored, step, name=f"{name}.weight", axis=0),
            graph.constant(bias, np.float32, f"{name}.bias"),
        )
    dtype = np.float16 if precision == "float16" else np.float32
    return graph.constant(weight, dtype, f"{name}.weight"), graph.constant(bias, dtype, f"{name}.bias")


def _content(graph: _Graph, name: str, target: str, weight: str, channels: int) -> tuple[str, str]:
    """Mean of (F - P)² and the weighted gradient 2 (F - P) / (N M)."""
    difference = graph("Sub", name, target)
    loss = graph("ReduceMean", graph("Mul", difference, difference), name=f"content_loss_{name}", keepdims=0)
    count = graph("Cast", graph("Size", name), to=TensorProto.FLOAT)
    slope = graph("Div", graph("Mul", weight, graph.constant(2)), count)
    return loss, graph("Mul", difference, slope)


def _style(graph: _Graph, name: str, gram: str, weight: str, channels: int) -> tuple[str, str]:
    """Mean of (G - A)² and the weighted gradient 4 (G - A) F / (M N²)."""
    rows = graph("Reshape", name, graph.constant([channels, -1], np.int64))
    size = graph("Cast", graph("Size", name), to=TensorProto.FLOAT)
    positions = graph("Div", size, graph.constant(channels))
    product = graph("MatMul", rows, graph("Transpose", rows, perm=[1, 0]))
    difference = graph("Sub", graph("Div", product, positions), gram)
    loss = graph("ReduceMean", graph("Mul", difference, difference), name=f"style_loss_{name}", keepdims=0)
    slope = graph("Div", graph("Mul", weight, graph.constant(4 / channels**2)), positions)
    gradient = graph("MatMul", graph("Mul", difference, slope), rows)
    return loss, graph("Reshape", gradient, graph("Shape", name))


def _backward(graph: _Graph, layer: Layer, pooling: str, x: str, gradient: str) -> str:
    """A layer's pullback, from the gradient in its output to that in its input ``x``."""
    match layer.kind:
        case "conv":
            # The kernel transposed in its channel axes and rotated by 180 degrees; a constant, folded on loading.
            swapped = graph("Transpose", f"{layer.name}.weight", perm=[1, 0, 2, 3])
            ends = (graph.constant(values, np.int64) for values in ([-1, -1], [-4, -4], [2, 3], [-1, -1]))
            return graph("Conv", gradient, graph("Slice", swapped, *ends), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        case "relu":
            return graph("Mul", gradient, graph("Sign", layer.name))  # activations are not negative
        case "pool" if pooling == "average":
            quarter = graph("Mul", gradient, graph.constant(0.25))
            scales = graph.constant([1, 1, 2, 2])
            nearest: dict[str, Any] = {
                "mode": "nearest",
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor",
            }
            spread = graph("Resize", quarter, "", scales, **nearest)
            # An odd edge was never pooled and gets nothing.
            missing = graph("Sub", graph("Shape", x), graph("Shape", spread))
            pads = graph("Concat", graph.constant([0, 0, 0, 0], np.int64), missing, axis=0)
            return graph("Pad", spread, pads)
        case "pool":
            # Each gradient to the position that attained the maximum; indices count through the whole input.
            zeros = graph("ConstantOfShape", graph("Reshape", graph("Size", x), graph.constant([1], np.int64)))
            flat = graph.constant([-1], np.int64)
            indices, values = (graph("Reshape", each, flat) for each in (f"{layer.name}:1", gradient))
            return graph("Reshape", graph("ScatterElements", zeros, indices, values, axis=0), graph("Shape", x))
    raise AssertionError(layer)
