"""A network, or one step of a synthesis, as an ONNX file."""

from pathlib import Path
from typing import Any, Literal

from ..choices import Pooling, Storage
from ..errors import InputError, in_words
from ..fields import Names, field
from ..synthesis.notation import STYLE_LAYERS
from ..synthesis.recipe import CONTENT_LAYERS
from .job import Job, OfConvention, Outcome, Output, VGGSource, written

#: What can be exported, each with its own fields' defaults: those of a transfer.
KINDS: dict[str, dict[str, Any]] = {
    "features": {"layers": tuple(sorted({*CONTENT_LAYERS, *STYLE_LAYERS["balanced"]}))},
    "step": {
        "content_layers": tuple(CONTENT_LAYERS),
        "style_layers": tuple(STYLE_LAYERS["balanced"]),
        "style_statistic": "gram",
    },
}

LAYERS: dict[str, Any] = {"metavar": "LAYERS"}


class Export(Job):
    """Write a network, or one step of the synthesis, as ONNX.

    Writes an ONNX file of standard operators for images of any size. The file is kept only if ONNX Runtime computes
    from it what PyTorch computes.
    """

    source: VGGSource
    kind: Literal["features", "step"] = field(
        "features",
        "features: the output of layers; step: a transfer's losses, targets, and gradient with respect to the image",
    )
    layers: Names | None = field(None, "layers of the features (default: the layers of a transfer)", **LAYERS)
    content_layers: Names | None = field(None, "content layers of the step (default: those of a transfer)", **LAYERS)
    style_layers: Names | None = field(None, "style layers of the step (default: those of a transfer)", **LAYERS)
    style_statistic: Literal["gram", "moments"] | None = field(
        None, "which statistic of the features defines the step's style (default: gram)"
    )
    output: Path = field(..., "the .onnx file to write", **Output)
    precision: Storage = field(
        "float32", "how weights are stored; float16 (features only) also computes in float16, 8bit computes in float32"
    )
    pooling: Pooling | None = field(None, "average or max pooling (default: the network's, or max if it says none)")
    convention: OfConvention = None

    def run(self, progress: Any = lambda step: None) -> Outcome:
        if self.output.suffix != ".onnx":
            raise InputError(f"{self.output} must end in .onnx.", "output")
        fields = [name for options in KINDS.values() for name in options]
        named = {name: value for name in fields if (value := getattr(self, name)) is not None}
        for name in named.keys() - KINDS[self.kind].keys():
            raise InputError(f"{in_words(name)} is no option of the kind {self.kind}: leave it out.", name)
        chosen = KINDS[self.kind] | named
        from ..export import export_features, export_step
        from ..files import check_outputs
        from ..network import load_vgg

        check_outputs([self.output])
        network = load_vgg(self.source, convention=self.convention, pooling=self.pooling)
        if self.kind == "features":
            errors = export_features(network, chosen["layers"], self.output, self.precision)
        else:
            content, style = (tuple(dict.fromkeys(chosen[kind])) for kind in ("content_layers", "style_layers"))
            errors = export_step(network, content, style, self.output, self.precision, chosen["style_statistic"])
        lines = [f"  {name:<20} {error:.1e}" for name, error in errors.items()]
        size = f"{written(self.output)}, {self.output.stat().st_size / 1e6:.1f} MB"
        return Outcome("\n".join(["largest error against PyTorch, over the largest value:", *lines, size]))
