"""Running the exported graphs with ONNX Runtime, on tensors that stay where they are."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from ..distributed import ALONE, Ranks
from ..errors import ToolkitError
from ..network import Network
from ..synthesis.objective import Objective
from ..synthesis.recipe import Recipe
from .graphs import step_model

#: ONNX Runtime's names for what computes on a device.
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Session:
    """A model ready to run on a device.

    Args:
        model: the model, or the path of its file.
        device: ``cpu``, or ``cuda`` for a GPU.

    ``provider`` is what really runs it.

    Raises:
        ToolkitError: when ONNX Runtime can't compute on that device, or can't load the model.
    """

    def __init__(self, model: onnx.ModelProto | str, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        if self.device.type not in PROVIDERS:
            raise ToolkitError(f"ONNX Runtime does not run on {self.device} here: use --device cpu or cuda.")
        if self.device.type == "cuda":
            onnxruntime.preload_dlls()  # PyTorch's own copies of CUDA's libraries
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # its one warning, that a provider did not start, becomes our sentence
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
            outputs: from each output wanted to its shape.

        Returns:
            From each output to its tensor, on the device.
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


class OnnxObjective(Objective):
    """A recipe's losses computed by ONNX Runtime; otherwise like ``Objective``.

    Args:
        session: a step's, exported with the recipe's layers in their order; made here when there is none.
    """

    only_float32 = True

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        content: Tensor | None = None,
        styles: Sequence[Tensor] = (),
        masks: Sequence[Tensor] = (),
        memory: int | None = None,
        ranks: Ranks = ALONE,
        differences: bool = False,
        session: Session | None = None,
    ) -> None:
        super().__init__(network, recipe, content, styles, masks, memory)
        if masks or ranks.world_size > 1:
            raise ToolkitError("The exported step knows no masks and no other processes: use --engine torch.")
        if network.dtype != torch.float32 or differences:
            raise ToolkitError("ONNX Runtime computes the step in float32: leave the precision at that.")
        device = next(network.parameters()).device
        self.session = session or Session(
            step_model(network, list(self.content_weights), list(self.style_weights)), device
        )
        self.runs_on = f"ONNX Runtime's {self.session.provider}"
        paper = recipe.formula == "paper"
        self._scales = {f"content {name}": t.numel() / 2 if paper else 1.0 for name, t in self.content_targets.items()}
        self._scales |= {f"style {name}": 0.25 if paper else 1.0 for name in self.style_weights}
        self._feeds = {f"content_{name}": target for name, target in self.content_targets.items()}
        for target in self.style_targets:
            self._feeds |= {f"gram_{name}": gram for name, gram in target.grams.items()}
        for kind, weights in (("content", self.content_weights), ("style", self.style_weights)):
            if weights:
                scaled = [weight * self._scales[f"{kind} {name}"] for name, weight in weights.items()]
                self._feeds[f"{kind}_weights"] = torch.tensor(scaled, device=device)

    def network_losses(self, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """As ``Objective`` has it."""
        names = {name: name.replace(" ", "_loss_", 1) for name in self._scales}
        outputs: dict[str, Sequence[int]] = dict.fromkeys(names.values(), ())
        found = self.session.run({"image": image, **self._feeds}, outputs | {"gradient": image.shape})
        losses = {name: found[output] * self._scales[name] for name, output in names.items()}
        return losses, found["gradient"]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
