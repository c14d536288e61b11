"""Running the exported graphs with ONNX Runtime, on tensors that stay on their device."""

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx
import torch
from torch import Tensor

from ..errors import ToolkitError
from ..network import Backbone, Network
from ..network.geometry import check_size, strides
from ..optimize import Evaluation
from ..synthesis.image_losses import image_losses_of
from ..synthesis.inputs import Inputs
from ..synthesis.objective import evaluation_of
from ..synthesis.recipe import Recipe
from ..synthesis.statistics import Sums, blended
from ..synthesis.targets import Targets, find_targets, losses_of
from .graphs import SUMMARIES, step_model

#: ONNX Runtime's names for what computes on a device.
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Session:
    """A model, loaded and ready to run on a device. ``provider`` names what runs it.

    Args:
        model: the model, or the path of its file.
        device: ``cpu``, or ``cuda`` for a GPU.

    Raises:
        ToolkitError: when ONNX Runtime can't compute on that device, or can't load the model.
    """

    def __init__(self, model: onnx.ModelProto | str, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        if self.device.type not in PROVIDERS:
            raise ToolkitError(f"ONNX Runtime does not run on {self.device} here: compute on cpu or cuda.")
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # which it sends unless told not to
        import onnxruntime  # slow to import

        if self.device.type == "cuda":
            onnxruntime.preload_dlls()  # PyTorch's own copies of CUDA's libraries
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # a provider that did not start is our own error, below
        wanted = PROVIDERS[self.device.type]
        try:
            self.session = onnxruntime.InferenceSession(
                model if isinstance(model, str) else model.SerializeToString(),
                options,
                providers=[(wanted, {"device_id": self.device.index or 0} if self.device.type == "cuda" else {})],
            )
        except Exception as error:  # its exceptions share no base class
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ToolkitError(f"ONNX Runtime could not load the model: {reason}") from error
        self.provider = self.session.get_providers()[0]
        if self.provider != wanted:
            raise ToolkitError(
                f"ONNX Runtime could not start {wanted} here: install CUDA's libraries for it, or compute on the CPU."
            )

    def run(self, feeds: Mapping[str, Tensor], outputs: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Runs the model.

        Args:
            feeds: from each input to its tensor, float32, on the device.
            outputs: from each output to compute to its shape.

        Returns:
            From each output to its tensor, float32, on the device.
        """
        binding = self.session.io_binding()
        place = self.device.type, self.device.index or 0, np.float32
        kept = {name: tensor.contiguous() for name, tensor in feeds.items()}
        for name, tensor in kept.items():
            binding.bind_input(name, *place, tuple(tensor.shape), tensor.data_ptr())
        results = {name: torch.empty(tuple(shape), device=self.device) for name, shape in outputs.items()}
        for name, tensor in results.items():
            binding.bind_output(name, *place, tuple(tensor.shape), tensor.data_ptr())
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()  # ONNX Runtime has a stream of its own
        self.session.run_with_iobinding(binding)
        return results


class OnnxObjective:
    """A recipe's losses and their gradient, computed by ONNX Runtime from ``step_model``.

    Args:
        network: a VGG in float32, on the device to compute on.
        recipe: which losses, and their weights.
        inputs: as ``Objective``, without masks.
        known: as ``Objective``.
        session: of a ``step_model`` with the recipe's layers in their order and its style statistic; made here when
            there is none.

    ``runs_on`` says what computes.

    Raises:
        ToolkitError: for masks, a network that is not in float32, a missing image, an unknown layer, or an image too
            small for the deepest layer.
    """

    def __init__(
        self,
        network: Backbone,
        recipe: Recipe,
        inputs: Inputs,
        known: Targets | None = None,
        session: Session | None = None,
    ) -> None:
        content_weights, style_weights = recipe.layer_weights
        layers = list(content_weights), list(style_weights)
        self._strides = strides(network.architecture.down_to([*content_weights, *style_weights]))
        assert isinstance(network, Network)  # what else has an architecture
        if inputs.masks or inputs.style_masks:
            raise ToolkitError("ONNX Runtime's objective has no masks: compute with PyTorch.")
        if network.dtype != torch.float32:
            raise ToolkitError("ONNX Runtime computes the objective in float32: choose this precision.")
        if style_weights and recipe.style_statistic not in SUMMARIES:
            raise ToolkitError(f"ONNX Runtime has no style statistic {recipe.style_statistic}: compute with PyTorch.")
        if recipe.finish:
            raise ToolkitError("ONNX Runtime's objective has no finish: set it to 0, or compute with PyTorch.")
        if recipe.seamless:
            raise ToolkitError("ONNX Runtime's objective has no seamless textures: compute with PyTorch.")
        inputs.check(recipe)
        self.targets = find_targets(network, recipe, inputs, known=known)
        self._losses, self.image_losses = losses_of(recipe, self.targets), image_losses_of(recipe)
        statistic = recipe.style_statistic if style_weights else "gram"
        self._session = session or Session(step_model(network, *layers, statistic=statistic), network.device)
        self._feeds = {name: value for name, _, value in feeds(recipe, self.targets)}
        self.runs_on = f"ONNX Runtime's {self._session.provider}"
        for kind, wanted in zip(("content", "style"), recipe.layer_weights, strict=True):
            if wanted:
                own = [loss.weight * loss.scale for loss in self._losses if loss.name.startswith(f"{kind} ")]
                self._feeds[f"{kind}_weights"] = torch.tensor(own, device=network.device)

    def __call__(self, image: Tensor) -> Evaluation:
        """Every loss of an image (1, 3, H, W), and the gradient of their weighted sum.

        Raises:
            ToolkitError: when the image is too small for the deepest layer.
        """
        check_size(image.shape, self._strides)
        outputs = {loss.name: loss.name.replace(" ", "_loss_") for loss in self._losses}
        shapes: dict[str, Sequence[int]] = {"gradient": image.shape, **dict.fromkeys(outputs.values(), ())}
        results = self._session.run({"image": image, **self._feeds}, shapes)
        values = [(loss.name, loss.weight, results[outputs[loss.name]] * loss.scale) for loss in self._losses]
        return evaluation_of(values, results["gradient"], image, self.image_losses)

    def match(self, image: Tensor) -> None:
        """Not called, as a recipe with a finish is refused."""
        raise NotImplementedError


def feeds(recipe: Recipe, targets: Targets) -> Iterator[tuple[str, str, Tensor]]:
    """The targets of a recipe's step: the name of each input, of the output that has an image's own, and its value."""
    for layer, features in targets.features.items():
        yield f"content_{layer}", layer, features
    shares = recipe.shares(len(targets.summaries))
    for layer in recipe.layer_weights[1]:
        mean, gram = blended([Sums(*summary[layer]) for summary in targets.summaries], shares)
        for what in SUMMARIES[recipe.style_statistic]:
            yield f"{what}_{layer}", f"{layer}_{what}", gram if what == "gram" else mean[:, None]
