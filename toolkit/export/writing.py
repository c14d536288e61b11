"""Writing ONNX files. Each is checked against the network before it takes its place."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import onnx
import torch
from torch import Tensor

from ..choices import StatisticName, Storage
from ..errors import ToolkitError
from ..files import written_atomically
from ..network import Network
from ..synthesis.inputs import Inputs
from ..synthesis.objective import Objective
from ..synthesis.recipe import Recipe
from ..synthesis.style import STATISTICS
from ..synthesis.targets import find_targets
from .graphs import features_model, held, step_model
from .runtime import Session, feeds


class Bounds(NamedTuple):
    """The largest errors that rounding can explain.

    ``values``: of features and moments, over the largest value. ``losses``: of a loss, over it; as a difference of
    near values, it multiplies their errors. ``gradient``: by root mean squares; where an activation is zero but for
    rounding, its ReLU may let the gradient pass in one engine and not in the other.
    """

    values: float
    losses: float = torch.inf
    gradient: float = torch.inf

    def of(self, output: str) -> float:
        """The bound of an output of that name."""
        return self.gradient if output == "gradient" else self.losses if "loss" in output else self.values


#: Against the network. In 8 bits losses and gradient have none: they multiply what the weights lose, the more the
#: nearer an image is to its targets. Against a network with the weights that the file holds, float32's hold.
BOUNDS: dict[Storage, Bounds] = {"float32": Bounds(1e-4, 1e-3, 5e-3), "float16": Bounds(2e-2), "8bit": Bounds(1e-1)}

#: (N, H, W) of the images that a file is checked on.
SIZES = ((1, 64, 64), (2, 97, 131), (1, 224, 160), (3, 49, 33))

#: What a model is fed, and what it must answer, by name.
Case = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]


def export_features(
    network: Network, layers: Sequence[str], path: Path, precision: Storage = "float32"
) -> dict[str, float]:
    """Writes ``features_model``, checked with ONNX Runtime on images of several sizes.

    Args:
        network: on the CPU, in float32.
        layers, precision: as ``features_model``.
        path: of the file.

    Returns:
        By output, the largest error against PyTorch, over the largest value.

    Raises:
        ToolkitError: for an unknown layer, a file that can't be written, or an error above the precision's bound.
    """
    return _write(
        network,
        path,
        precision,
        lambda stored: features_model(stored, layers, precision),
        lambda each: (({"image": images}, each(images, layers)) for images in _images()),
    )


def export_step(
    network: Network,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    path: Path,
    precision: Storage = "float32",
    statistic: StatisticName = "gram",
) -> dict[str, float]:
    """Writes ``step_model``, checked like ``export_features``.

    Args:
        network: on the CPU, in float32.
        content_layers, style_layers, precision, statistic: as ``step_model``.
        path: of the file.

    Returns:
        By output, the largest error against ``Objective``, over the largest value; for ``gradient``, in root mean
        squares.

    Raises:
        ToolkitError: as ``export_features``.
    """
    return _write(
        network,
        path,
        precision,
        lambda stored: step_model(stored, content_layers, style_layers, precision, statistic),
        lambda each: _steps(each, content_layers, style_layers, statistic),
    )


def _steps(
    network: Network, content_layers: Sequence[str], style_layers: Sequence[str], statistic: StatisticName
) -> Iterator[Case]:
    layers = {"content_layers": dict.fromkeys(content_layers, 1.0), "style_layers": dict.fromkeys(style_layers, 1.0)}
    recipe = Recipe.preset("transfer", **layers, style_statistic=statistic, finish=0.0, total_variation_weight=0.0)
    scales = {"content": 1.0, "style": STATISTICS[statistic].scale}  # the step's losses are before them
    weights = {
        f"{kind}_weights": torch.tensor(list(by_layer.values())) * scales[kind]
        for kind, by_layer in zip(scales, recipe.layer_weights, strict=True)
        if by_layer
    }
    for images in _images():
        # The style must differ in its Gram matrices, or rounding would be all that is compared.
        image, content, style = images[:1], images[:1].flip(-1), images[:1].square()
        objective = Objective(network, recipe, Inputs(content, [style]))
        evaluation = objective(image)
        wanted = {name: value for name, _, value in feeds(recipe, objective.targets)}
        expected = {"loss": evaluation.objective, "gradient": evaluation.gradient}
        for name, loss in evaluation.losses.items():
            expected[name.replace(" ", "_loss_")] = loss / scales[name.partition(" ")[0]]
        of_itself = find_targets(network, recipe, Inputs(image, [image]))
        expected |= {own: value for _, own, value in feeds(recipe, of_itself)}
        yield {"image": image, **wanted, **weights}, expected


def _write(
    network: Network,
    path: Path,
    precision: Storage,
    model: Callable[[Network], onnx.ModelProto],
    cases: Callable[[Network], Iterator[Case]],
) -> dict[str, float]:
    """A network's model as a file, which stays if it is valid by ONNX's own checks and answers every case.

    Returns:
        By output, its largest error against the network.
    """
    stored = held(network, precision)
    bounds = {network: BOUNDS[precision]} | ({stored: BOUNDS["float32"]} if precision == "8bit" else {})
    worst: dict[str, float] = {}
    with written_atomically(path) as temporary:
        onnx.save_model(model(stored), temporary)
        written = onnx.load_model(temporary)
        onnx.checker.check_model(written, full_check=True)
        session = Session(written)
        for answered in zip(*map(cases, bounds), strict=True):
            feeds, answers = answered[-1]
            found = session.run(feeds, {name: value.shape for name, value in answers.items()})
            errors, *_ = [_check(found, case[1], each) for case, each in zip(answered, bounds.values(), strict=True)]
            worst = {name: max(worst.get(name, 0.0), error) for name, error in errors.items()}
    return worst


def _check(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], bounds: Bounds) -> dict[str, float]:
    """The error of each output.

    Raises:
        ToolkitError: when one is above its bound.
    """
    errors = {}
    for name, value in expected.items():
        error = errors[name] = _error(found[name], value, 2 if name == "gradient" else torch.inf)
        if not error <= (bound := bounds.of(name)):
            raise ToolkitError(
                f"ONNX Runtime's {name} is off by {error:.1e} of its largest value, more than {bound:.0e}: "
                "nothing was written; use a higher precision, or a normalised network."
            )
    return errors


def _images() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    for batch, height, width in SIZES:
        yield torch.rand(batch, 3, height, width, generator=generator)


def _error(found: Tensor, expected: Tensor, order: float) -> float:
    """The error over the expected value, both by the norm of that order."""
    error, size = (torch.linalg.vector_norm(each, order) for each in (found - expected, expected))
    return float(error / size.clamp(min=torch.finfo(torch.float32).tiny))
