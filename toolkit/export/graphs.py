"""ONNX graphs of a network: its features, and one step of a synthesis. Standard operators only.

The graphs are built node by node. A VGG has few kinds of layers, and the gradient is the closed form of
``toolkit.synthesis``, so no tracing exporter is needed. Operators without a kernel in onnxruntime-web's WebGPU backend
(``Sign``, ``Sum``, ``Size``, ``Identity``) are avoided.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from .. import __version__
from ..choices import StatisticName, Storage
from ..errors import InputError, ToolkitError
from ..network import Layer, Network, fingerprint
from ..network.files import rounded

#: By style statistic, what of a style image it compares.
SUMMARIES: dict[StatisticName, tuple[str, ...]] = {"gram": ("gram",), "moments": ("gram", "mean")}

#: The sizes of a tensor's axes; a text stands for a free size.
Shape = Sequence[int | str]

OPSET = 18
IR_VERSION = 9


def held(network: Network, precision: Storage) -> Network:
    """The network whose weights a file in 8 bits holds: those of its codebooks, which are made where they are missing.

    For another precision, the network itself.
    """
    missing = precision == "8bit" and not network.codebooks.keys() >= network.architecture.convolutions.keys()
    return rounded(network, precision) if missing else network


class _Graph:
    """Nodes and constants under construction. A value is known by its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def __call__(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Adds a node and returns the name of its output."""
        name = name or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def add(self, *terms: str) -> str:
        """The sum of one or more values."""
        return reduce(lambda a, b: self("Add", a, b), terms)

    def name_last(self, name: str) -> str:
        """Gives the output of the last node another name, and returns it."""
        self.nodes[-1].output[0] = name
        return name

    def constant(self, values: Any, dtype: Any = np.float32, name: str | None = None) -> str:
        """Adds a constant and returns its name. Equal constants without a given name are shared."""
        array = np.array(values, dtype, order="C")
        key = name or f"{array.dtype} {array.shape} {array.tobytes().hex()}"
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, name or f"constant_{len(self.constants)}")
        return self.constants[key].name

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


def features_model(network: Network, layers: Iterable[str], precision: Storage = "float32") -> onnx.ModelProto:
    """The network as far as the deepest of the named layers.

    Input: ``image`` (N, 3, H, W), RGB in [0, 1]. Outputs: each layer's features (N, C, h, w), float32, by its name.

    >>> from toolkit.network import load_network
    >>> model = features_model(load_network("vgg19-small"), ["relu1_1", "relu4_2"])
    >>> [output.name for output in model.graph.output]
    ['relu1_1', 'relu4_2']

    Args:
        network, layers: what to export.
        precision: of the weights; ``float16`` also computes in float16, ``8bit`` in float32.

    Raises:
        ToolkitError: for an unknown layer, or none.
    """
    wanted = set(layers)
    if not wanted:
        raise ToolkitError("There is nothing to export: name at least one layer, such as relu4_2.")
    network, graph, path = held(network, precision), _Graph(), network.architecture.down_to(wanted)
    half = precision == "float16"
    names = {layer.name: f"{layer.name}_float16" for layer in path} if half else {}
    values = _forward(graph, network, path, precision, names)
    outputs = [_features(layer.name, layer, batch="N") for layer in path if layer.name in wanted]
    if half:
        for value in outputs:
            graph("Cast", values[value.name], name=value.name, to=TensorProto.FLOAT)
    text = (
        f"{network.architecture.name}, {network.pooling} pooling. In: image, RGB in [0, 1]. Out: the features of "
        f"{', '.join(value.name for value in outputs)}. Weights in {precision}."
    )
    return graph.model([_value("image", ["N", 3, "H", "W"])], outputs, network, text)


def summary_shape(layer: Layer, what: str) -> list[int]:
    """The shape of one of ``SUMMARIES``: a Gram matrix (C, C), or a mean (C, 1)."""
    return [layer.channels, layer.channels if what == "gram" else 1]


def step_model(
    network: Network,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    precision: Storage = "float32",
    statistic: StatisticName = "gram",
) -> onnx.ModelProto:
    """One evaluation: every loss, their weighted sum, and its gradient with respect to the image.

    Inputs: ``image`` (1, 3, H, W), RGB in [0, 1]; ``content_LAYER``, the content image's features (1, C, h, w);
    ``gram_LAYER``, the style's Gram matrix F Fᵀ / M (C, C); for ``moments`` also its mean, ``mean_LAYER`` (C, 1);
    ``content_weights`` and ``style_weights``, one number for each layer in the given order. Outputs: ``loss`` (), the
    weighted sum; ``gradient`` (1, 3, H, W); ``content_loss_LAYER`` and ``style_loss_LAYER`` (), before their weights;
    and, of the image itself, ``LAYER``, the features of each content layer, and ``LAYER_gram`` and ``LAYER_mean`` of
    each style layer. So the step of a content or a style image gives its targets, whatever its own are, and one file is
    enough to paint with. Losses are those of ``toolkit.synthesis.losses`` and its statistics, as means of squares.

    Args:
        network, content_layers, style_layers: what to export; either layers may be none.
        precision: of the weights; not ``float16``.
        statistic: ``gram`` or ``moments``.

    Raises:
        ToolkitError: for an unknown layer, none at all, ``float16``, or another statistic.
    """
    if statistic not in SUMMARIES:
        raise ToolkitError(f"ONNX graphs have no style statistic {statistic!r}: use {' or '.join(SUMMARIES)}.")
    if precision == "float16":
        raise InputError("Losses and gradients are too small for float16: use float32 or 8bit.", "precision")
    if not (content_layers or style_layers):
        raise ToolkitError("There is nothing to export: name content layers, style layers, or both.")
    network, graph = held(network, precision), _Graph()
    path = network.architecture.down_to([*content_layers, *style_layers])
    _forward(graph, network, path, precision)
    by_name = {layer.name: layer for layer in path}
    inputs = [_value("image", [1, 3, "H", "W"])]
    outputs = [_value("loss", []), _value("gradient", [1, 3, "H", "W"])]
    gradients: dict[str, list[str]] = {}
    weighted = []
    for kind, layers in (("content", content_layers), ("style", style_layers)):
        if layers:
            inputs.append(_value(f"{kind}_weights", [len(layers)]))
        for number, name in enumerate(layers):
            layer = by_name[name]
            weight = graph("Gather", f"{kind}_weights", graph.constant(number, np.int64), axis=0)
            if kind == "content":
                targets, found = [_features(f"content_{name}", layer)], [_features(name, layer)]
                value, gradient = _content(graph, layer, weight)
            else:
                shapes = {what: summary_shape(layer, what) for what in SUMMARIES[statistic]}
                targets = [_value(f"{what}_{name}", shape) for what, shape in shapes.items()]
                found = [_value(f"{name}_{what}", shape) for what, shape in shapes.items()]
                value, gradient = _style(graph, layer, weight, statistic)
            inputs += targets
            outputs += [_value(value, []), *found]
            weighted.append(graph("Mul", value, weight))
            gradients.setdefault(name, []).append(gradient)
    graph.add(*weighted)
    graph.name_last("loss")
    above: list[str] = []
    for layer, below in zip(reversed(path), [*reversed(path[:-1]), None], strict=True):
        gradient = graph.add(*gradients.get(layer.name, []), *above)
        above = [_pullback(graph, layer, network.pooling, below.name if below else "image", gradient)]
    gradient = graph("Mul", *above, _factor(graph, network))
    if network.preprocessing.channels == "BGR":
        _reversed_channels(graph, gradient)
    graph.name_last("gradient")
    text = (
        f"One evaluation of the synthesis losses on {network.architecture.name}, {network.pooling} pooling: losses "
        f"(means of squares; style statistic {statistic}), their weighted sum, its gradient in the image, and the "
        f"targets that the image itself would be. Weights in {precision}."
    )
    return graph.model(inputs, outputs, network, text)


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _features(name: str, layer: Layer, batch: int | str = 1) -> onnx.ValueInfoProto:
    return _value(name, [batch, layer.channels, f"height_{layer.name}", f"width_{layer.name}"])


def _factor(graph: _Graph, network: Network) -> str:
    preprocessing = network.preprocessing
    return graph.constant(np.reshape([preprocessing.range / std for std in preprocessing.std], (1, 3, 1, 1)))


def _reversed_channels(graph: _Graph, image: str) -> str:
    return graph("Gather", image, graph.constant([2, 1, 0], np.int64), axis=1)


def _forward(
    graph: _Graph,
    network: Network,
    path: Sequence[Layer],
    precision: Storage,
    names: Mapping[str, str] = {},
) -> dict[str, str]:
    """From ``image`` through preprocessing and every layer of ``path``.

    Returns:
        From each layer to its value: as ``names`` says, else the layer's own name.
    """
    preprocessing = network.preprocessing
    x = _reversed_channels(graph, "image") if preprocessing.channels == "BGR" else "image"
    offset = [-mean / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)]
    x = graph("Add", graph("Mul", x, _factor(graph, network)), graph.constant(np.reshape(offset, (1, 3, 1, 1))))
    if precision == "float16":
        x = graph("Cast", x, to=TensorProto.FLOAT16)
    values = {}
    for layer in path:
        name = names.get(layer.name, layer.name)
        match layer.kind:
            case "conv":
                weight, bias = _parameters(graph, network, layer.name, precision)
                x = graph("Conv", x, weight, bias, name=name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            case "relu":
                x = graph("Relu", x, name=name)
            case "pool":
                operator = "AveragePool" if network.pooling == "average" else "MaxPool"
                x = graph(operator, x, name=name, kernel_shape=[2, 2], strides=[2, 2])
        values[layer.name] = x
    return values


def _parameters(graph: _Graph, network: Network, name: str, precision: Storage) -> tuple[str, str]:
    """The values of a convolution's weight and bias."""
    convolution = network.convolution(name)
    assert convolution.bias is not None
    dtype = np.float16 if precision == "float16" else np.float32
    if any(float(each.abs().max()) > float(np.finfo(dtype).max) for each in convolution.parameters()):
        raise InputError(f"The weights of {name} are too large for float16: use float32 or 8bit.", "precision")
    bias = graph.constant(_array(convolution.bias), dtype, f"{name}.bias")
    if precision == "8bit":
        return _decoded(graph, network, name), bias
    return graph.constant(_array(convolution.weight), dtype, f"{name}.weight"), bias


def _decoded(graph: _Graph, network: Network, name: str) -> str:
    """A convolution's weight from its codebook, which is of the weights as trained, so that normalisation follows.

    ONNX Runtime folds it into a constant on loading.
    """
    index, values = network.codebooks[name]
    wide = graph("Cast", graph.constant(_array(index), np.uint8, f"{name}.index"), to=TensorProto.INT32)
    weight = graph("Gather", graph.constant(_array(values), np.float32, f"{name}.codebook"), wide, axis=0)
    if network.mean_activations:
        names = list(network.architecture.convolutions)
        if place := names.index(name):  # stored with the layer below, as (I, 1, 1, 1)
            below = graph("Transpose", f"{names[place - 1]}.mean_activation", perm=[1, 0, 2, 3])
            weight = graph("Mul", weight, below)
        mean = network.mean_activations[name]
        scale = torch.where(mean > 0, mean, 1.0).view(-1, 1, 1, 1)
        graph("Div", weight, graph.constant(_array(scale), np.float32, f"{name}.mean_activation"))
    return graph.name_last(f"{name}.weight")


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return tensor.detach().cpu().contiguous().numpy()


def _positions(graph: _Graph, features: str) -> str:
    """The number of positions M of a layer's features."""
    return graph("Cast", graph("ReduceProd", graph("Shape", features, start=2), keepdims=0), to=TensorProto.FLOAT)


def _content(graph: _Graph, layer: Layer, weight: str) -> tuple[str, str]:
    """Mean of (F - P)² and the weighted gradient 2 (F - P) / (C M)."""
    difference = graph("Sub", layer.name, f"content_{layer.name}")
    loss = graph("ReduceMean", graph("Mul", difference, difference), name=f"content_loss_{layer.name}", keepdims=0)
    slope = graph("Mul", weight, graph.constant(2 / layer.channels))
    return loss, graph("Mul", difference, graph("Div", slope, _positions(graph, layer.name)))


def _style(graph: _Graph, layer: Layer, weight: str, statistic: StatisticName) -> tuple[str, str]:
    """A style statistic and its weighted gradient (2 dL/dG F + dL/dm 1ᵀ) / M; formulas are those of ``synthesis``."""
    rows = graph("Reshape", layer.name, graph.constant([layer.channels, -1], np.int64))
    product = graph("MatMul", rows, graph("Transpose", rows, perm=[1, 0]))
    gram = graph("Div", product, _positions(graph, layer.name), name=f"{layer.name}_gram")
    name = f"style_loss_{layer.name}"
    over = graph("Div", weight, _positions(graph, layer.name))
    if statistic == "gram":
        loss, by_gram = _mean_square(graph, graph("Sub", gram, f"gram_{layer.name}"), layer.channels**2, name)
        gradient = graph("MatMul", graph("Mul", by_gram, _doubled(graph, over)), rows)
        return loss, graph("Reshape", gradient, graph("Shape", layer.name))
    mean = graph("ReduceMean", rows, graph.constant([1], np.int64), name=f"{layer.name}_mean", keepdims=1)
    theirs = _covariance(graph, f"gram_{layer.name}", f"mean_{layer.name}")
    covariances = graph("Sub", _covariance(graph, gram, mean), theirs)
    spread, by_gram = _mean_square(graph, covariances, layer.channels**2)
    shift, by_mean = _mean_square(graph, graph("Sub", mean, f"mean_{layer.name}"), layer.channels)
    graph.add(spread, shift)
    loss = graph.name_last(name)
    twice = _doubled(graph, by_gram)
    by_mean = graph("Sub", by_mean, graph("MatMul", twice, mean))
    gradient = graph("Mul", graph("Add", graph("MatMul", twice, rows), by_mean), over)
    return loss, graph("Reshape", gradient, graph("Shape", layer.name))


def _mean_square(graph: _Graph, difference: str, count: int, name: str | None = None) -> tuple[str, str]:
    """The mean square of so many differences, and its derivative with respect to them."""
    value = graph("ReduceMean", graph("Mul", difference, difference), name=name, keepdims=0)
    return value, graph("Mul", difference, graph.constant(2 / count))


def _covariance(graph: _Graph, gram: str, mean: str) -> str:
    return graph("Sub", gram, graph("MatMul", mean, graph("Transpose", mean, perm=[1, 0])))


def _doubled(graph: _Graph, value: str) -> str:
    return graph("Mul", value, graph.constant(2))


def _pullback(graph: _Graph, layer: Layer, pooling: str, x: str, gradient: str) -> str:
    """A layer's pullback: from the gradient with respect to its output to that with respect to its input ``x``."""
    match layer.kind:
        case "conv":
            # The kernel transposed in its channel axes and rotated by 180 degrees: a constant, folded on loading.
            swapped = graph("Transpose", f"{layer.name}.weight", perm=[1, 0, 2, 3])
            ends = (graph.constant(values, np.int64) for values in ([-1, -1], [-4, -4], [2, 3], [-1, -1]))
            return graph("Conv", gradient, graph("Slice", swapped, *ends), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        case "relu":
            zero = graph.constant(0)
            return graph("Where", graph("Greater", layer.name, zero), gradient, zero)
        case "pool":
            # By position in the window, (0, 0) to (1, 1): what each of its four pixels gets.
            if pooling == "average":
                parts = [graph("Mul", gradient, graph.constant(0.25))] * 4
            else:
                parts = _to_maximum(graph, layer.name, x, gradient)
            spread = graph("DepthToSpace", graph("Concat", *parts, axis=1), blocksize=2)
            # An odd edge was never pooled and gets nothing.
            missing = graph("Sub", graph("Shape", x), graph("Shape", spread))
            return graph("Pad", spread, graph("Concat", graph.constant([0, 0, 0, 0], np.int64), missing, axis=0))


def _to_maximum(graph: _Graph, pool: str, x: str, gradient: str) -> list[str]:
    """The parts of a max pooling's gradient: all to the first pixel of each window that attains the maximum."""
    zero = graph.constant(0)
    end = graph("Mul", graph("Shape", pool, start=2), graph.constant(2, np.int64))
    axes, steps = graph.constant([2, 3], np.int64), graph.constant([2, 2], np.int64)
    parts = []
    for corner in ([0, 0], [0, 1], [1, 0]):
        pixel = graph("Slice", x, graph.constant(corner, np.int64), end, axes, steps)
        attains = graph("Equal", pixel, pool)
        parts.append(graph("Where", attains, gradient, zero))
        gradient = graph("Where", attains, zero, gradient)
    return [*parts, gradient]
