"""Running the exported graphs with ONNX Runtime, on tensors that stay on their device."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from ..errors import ToolkitError
from ..network import Network
from ..network.geometry import check_size, strides
from ..optimize import Evaluation
from ..synthesis.needs import check_images
from ..synthesis.objective import evaluation_of
from ..synthesis.recipe import Recipe
from ..synthesis.style import SCALES
from .graphs import SUMMARIES, step_model, summary_shape

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
            raise ToolkitError(f"ONNX Runtime does not run on {self.device} here: use --device cpu or cuda.")
        onnxruntime = _onnxruntime()
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
            raise ToolkitError(f"ONNX Runtime could not load the model: {_first_line(error)}") from error
        self.provider = self.session.get_providers()[0]
        if self.provider != wanted:
            raise ToolkitError(
                f"ONNX Runtime could not start {wanted} here: install CUDA's libraries for it, or use --device cpu."
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
        network: in float32, on the device to compute on.
        recipe: which losses, and their weights.
        content: (1, 3, H, W), RGB in [0, 1]; needed for content losses.
        styles: (1, 3, h, w) each; needed for style losses. They blend as in ``Objective``.
        masks: must be empty.
        style_masks: likewise.
        session: of a ``step_model`` with the recipe's layers in their order and its style statistic; made here when
            there is none.

    ``runs_on`` says what computes.

    Raises:
        ToolkitError: for masks, a network that is not in float32, a missing image, an unknown layer, or an image too
            small for the deepest layer.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        masks: Sequence[Tensor] = (),
        style_masks: Sequence[Tensor] = (),
        session: Session | None = None,
    ) -> None:
        if masks or style_masks:
            raise ToolkitError("ONNX Runtime's objective has no masks: use --engine torch.")
        if network.dtype != torch.float32:
            raise ToolkitError("ONNX Runtime computes the objective in float32: use --precision float32.")
        if recipe.style_weight and recipe.style_statistic not in SUMMARIES:
            raise ToolkitError(f"ONNX Runtime has no style statistic {recipe.style_statistic}: use --engine torch.")
        if recipe.seamless:
            raise ToolkitError("ONNX Runtime's objective has no seamless textures: use --engine torch.")
        check_images(recipe, content, styles)
        content_weights, style_weights = recipe.layer_weights
        layers = list(content_weights), list(style_weights)
        device = next(network.parameters()).device
        self._recipe = recipe
        self._path = network.architecture.down_to([*content_weights, *style_weights])
        statistic = recipe.style_statistic if style_weights else "gram"
        self._session = session or Session(step_model(network, *layers, statistic=statistic), device)
        self._feeds = self._targets(content, styles, SUMMARIES[statistic])
        self.runs_on = f"ONNX Runtime's {self._session.provider}"
        # From the step's means of squares to the recipe's formula.
        paper = recipe.formula == "paper"
        self._losses = [
            (f"content {name}", weight, self._feeds[f"content_{name}"].numel() / 2 if paper else 1.0)
            for name, weight in content_weights.items()
        ] + [
            (f"style {name}", weight, SCALES[statistic] * (0.25 if paper else 1.0))
            for name, weight in style_weights.items()
        ]
        for kind in ("content", "style"):
            if weights := [weight * scale for name, weight, scale in self._losses if name.startswith(f"{kind} ")]:
                self._feeds[f"{kind}_weights"] = torch.tensor(weights, device=device)

    def __call__(self, image: Tensor) -> Evaluation:
        """Every loss of an image (1, 3, H, W), and the gradient of their weighted sum.

        Raises:
            ToolkitError: when the image is too small for the deepest layer.
        """
        check_size(image.shape, self._path)
        outputs = {name: name.replace(" ", "_loss_") for name, _, _ in self._losses}
        shapes: dict[str, Sequence[int]] = {"gradient": image.shape, **dict.fromkeys(outputs.values(), ())}
        found = self._session.run({"image": image, **self._feeds}, shapes)
        values = [(name, weight, found[outputs[name]] * scale) for name, weight, scale in self._losses]
        return evaluation_of(self._recipe, image, values, found["gradient"])

    def _targets(self, content: Tensor | None, styles: Sequence[Tensor], summaries: Sequence[str]) -> dict[str, Tensor]:
        """The step's targets, which the step of the content image and of each style image gives."""
        content_weights, style_weights = self._recipe.layer_weights
        layers, stride = {layer.name: layer for layer in self._path}, strides(self._path)
        channels = {name: layer.channels for name, layer in layers.items()}
        of_style = {f"{what}_{name}": summary_shape(layers[name], what) for name in style_weights for what in summaries}
        shapes: dict[str, Sequence[int]] = {f"content_{name}": (1, channels[name], 1, 1) for name in content_weights}
        shapes |= of_style
        weights = {"content_weights": content_weights, "style_weights": style_weights}
        shapes |= {name: (len(by_layer),) for name, by_layer in weights.items() if by_layer}
        # Until there are targets, zeros take their place: the outputs asked for don't depend on them.
        none = {name: torch.zeros(shape, device=self._session.device) for name, shape in shapes.items()}

        def found(image: Tensor, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
            check_size(image.shape, self._path)
            outputs = {_own(name): shape for name, shape in shapes.items()}
            values = self._session.run({"image": image, **none}, outputs)
            return {name: values[_own(name)] for name in shapes}

        targets: dict[str, Tensor] = {}
        if content is not None and content_weights:
            sizes = {name: [length // stride[name] for length in content.shape[-2:]] for name in content_weights}
            targets = found(content, {f"content_{name}": (1, channels[name], *size) for name, size in sizes.items()})
        shares = self._recipe.style_image_weights or (1.0,) * len(styles)
        for style, share in zip(styles, shares, strict=True):
            for name, value in found(style, of_style).items() if of_style else ():
                targets[name] = targets.get(name, 0) + value * (share / sum(shares))
        return targets


def _own(target: str) -> str:
    """The step's output for an image's own ``content_LAYER``, ``gram_LAYER`` or ``mean_LAYER``."""
    what, _, layer = target.partition("_")
    return layer if what == "content" else f"{layer}_{what}"


def _onnxruntime() -> Any:
    """The module, imported when first needed: it takes a while, and sends telemetry unless told not to."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
