"""Writing ONNX files, each checked against the network before it takes its place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor

from ..errors import ToolkitError
from ..files import written_atomically
from ..network import Network
from ..synthesis.objective import Objective
from ..synthesis.recipe import Recipe
from .graphs import Precision, features_model, step_model
from .runtime import OnnxObjective, Session

#: The largest error of an output, over its largest value, that a precision can explain.
BOUNDS: dict[Precision, float] = {"float32": 1e-4, "float16": 2e-2, "int8": 1e-1}

#: The same for a gradient, by root mean squares: where an activation is zero but for rounding, the mask of its ReLU may
#: fall on either side, and part of the gradient with it. Measured on VGG-19: 6e-4 with one such activation, else 7e-7.
GRADIENT_BOUND = 5e-3

#: (batch, height, width) of the images that a file is checked on.
SIZES = ((1, 64, 64), (2, 97, 131), (1, 224, 160), (3, 49, 33))


def export_features(
    network: Network, layers: Sequence[str], path: Path, precision: Precision = "float32"
) -> dict[str, float]:
    """Writes the network as far as the named layers, and checks what ONNX Runtime makes of the file.

    Args:
        network: on the CPU, in float32.
        layers: names, such as ``relu4_2``.
        path: where to; ends in ``.onnx``.
        precision: of the weights.

    Returns:
        By layer, the largest error against PyTorch over images of several sizes, over the largest value.

    Raises:
        ToolkitError: for an unknown layer, a file that can't be written, or an error above the precision's bound.
    """
    with _written(features_model(network, layers, precision), path) as session:
        errors = dict.fromkeys(sorted(set(layers)), 0.0)
        for image in _images():
            expected = network(image, errors)
            found = session.run({"image": image}, {name: features.shape for name, features in expected.items()})
            for name, features in expected.items():
                errors[name] = max(errors[name], _error(found[name], features))
        _refuse_beyond(errors, BOUNDS[precision])
    return errors


def export_step(
    network: Network, content_layers: Sequence[str], style_layers: Sequence[str], path: Path
) -> dict[str, float]:
    """Writes one evaluation of loss and gradient, and checks it likewise, for images one by one.

    Args:
        network: on the CPU, in float32.
        content_layers: names; may be empty.
        style_layers: names; may be empty.
        path: where to; ends in ``.onnx``.

    Returns:
        By loss, the largest error against the closed form in PyTorch; for ``gradient`` that of its root mean square.

    Raises:
        ToolkitError: as ``export_features``.
    """
    model = step_model(network, content_layers, style_layers)
    recipe = Recipe.preset(
        "transfer",
        content_layers=dict.fromkeys(content_layers, 1.0),
        style_layers=dict.fromkeys(style_layers, 1.0),
    )
    with _written(model, path) as session:
        errors: dict[str, float] = {}
        gradient_error = 0.0
        for images in _images():
            # The style must differ in its Gram matrices, or rounding would be all that is compared.
            image, content, style = images[:1], images[:1].flip(-1), images[:1].square()
            expected = Objective(network, recipe, content, [style])
            found = OnnxObjective(network, recipe, content, [style], session=session)
            (values, gradient), (found_values, found_gradient) = (
                each.network_losses(image) for each in (expected, found)
            )
            for name, value in values.items():
                errors[name] = max(errors.get(name, 0.0), _error(found_values[name], value))
            gradient_error = max(gradient_error, float((found_gradient - gradient).norm() / gradient.norm()))
        _refuse_beyond(errors, BOUNDS["float32"])
        _refuse_beyond({"gradient": gradient_error}, GRADIENT_BOUND)
    return errors | {"gradient": gradient_error}


@contextmanager
def _written(model: onnx.ModelProto, path: Path) -> Iterator[Session]:
    """The model's file, valid by ONNX's own checks and loaded; it stays when the block ends well."""
    with written_atomically(path) as temporary:
        onnx.save_model(model, temporary)
        onnx.checker.check_model(temporary, full_check=True)
        yield Session(str(temporary))


def _images() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    for batch, height, width in SIZES:
        yield torch.rand(batch, 3, height, width, generator=generator)


def _error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=torch.finfo(torch.float32).tiny))


def _refuse_beyond(errors: dict[str, float], bound: float) -> None:
    name, worst = max(errors.items(), key=lambda item: item[1])
    if not all(error <= bound for error in errors.values()):
        raise ToolkitError(
            f"ONNX Runtime's {name} is off by {worst:.1e} of its largest value, more than {bound:.0e}: nothing was "
            "written; use a higher --precision, or a normalised network."
        )
