"""What a network file, a file of mean activations or a picture holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..choices import SCALES
from ..fields import field
from .job import Job, OfConvention, Outcome

if TYPE_CHECKING:
    from torch import Tensor

    from ..network import Architecture, Preprocessing


class Inspect(Job):
    """Say what a network file or a picture of this toolkit holds.

    Prints a network's architecture, pooling, preprocessing and provenance, what a file of mean activations belongs to,
    or a picture's recipe.
    """

    file: str = field(..., "a network file or name, a .scales file, or a picture made by this toolkit", positional=True)
    convention: OfConvention = None

    def run(self, progress: Any = lambda step: None) -> Outcome:
        from ..pictures.decode import SUFFIXES
        from ..pictures.formats import read_recipe

        if Path(self.file).suffix.lower() in SUFFIXES:
            return Outcome(read_recipe(self.file))
        facts = _means(self.file) if self.file.endswith(SCALES) else _network(self.file, self.convention)
        lines = [f"{name} {fact}" if name.endswith(":") else f"{name:<15}{fact}" for name, fact in facts.items()]
        return Outcome("\n".join(lines))


def _network(source: str, convention: str | None) -> dict[str, Any]:
    from ..network import find_network, fingerprint, load_vgg, normalized_for

    network = load_vgg(source, convention=convention)
    filters = sum(outputs for _, outputs in network.architecture.convolutions.values())
    by_file = normalized_for(find_network(source))
    return {
        "architecture": _architecture(network.architecture),
        "preprocessing": _preprocessing(network.preprocessing),
        "weights": "8 bits, 256 values a layer" if network.codebooks else "one number each",
        "pooling": network.pooling,
        "normalised": f"for {' and '.join(by_file)} pooling" if by_file else "no",
        **_ranges(network.mean_activations, " before, 1 now"),
        "parameters": f"{sum(p.numel() for p in network.parameters()):,} in {filters:,} filters",
        "fingerprint": fingerprint(network),
        "provenance": json.dumps(network.provenance, indent=2),
    }


def _means(file: str) -> dict[str, Any]:
    """Of a file of mean activations. The network that it belongs to is not loaded: it may be code."""
    from ..files import load_tensors
    from ..network import ModuleHeader, in_model_folders, read_scales, with_scales
    from ..normalize import MeanActivations

    path = in_model_folders(with_scales(file)[1])
    if load_tensors(path).metadata.get("format") == ModuleHeader.model_fields["format"].default:
        header, means = read_scales(path)
        belongs = {"network": f"{header.source}, no VGG", "preprocessing": _preprocessing(header.preprocessing)}
        layers = {f"{name} ({own})": means[name] for name, own in header.layers.items()}
        weights, provenance = header.weights, header.provenance
    else:
        known = MeanActivations.load(path)
        belongs = {"architecture": _architecture(known.architecture), "pooling": known.pooling}
        layers, weights, provenance = dict(known.means), known.weights, dict(known.provenance)
    return {
        "holds": "mean activations, which normalise this network",
        **belongs,
        **_ranges(layers),
        "fingerprint": f"{weights} of the weights",
        "provenance": json.dumps(provenance, indent=2),
    }


def _architecture(architecture: "Architecture") -> str:
    end = f" to {architecture.last}" if architecture.last else ""
    return f"{architecture.name}{end}, {' '.join(map(str, architecture.widths))} filters"


def _preprocessing(preprocessing: "Preprocessing") -> str:
    values = f"{preprocessing.channels} x {preprocessing.range:g}"
    return f"{values}, minus {preprocessing.mean}, over {preprocessing.std}"


def _ranges(means: "Mapping[str, Tensor]", end: str = "") -> dict[str, str]:
    return {f"  {name}:": f"mean activations {mean.min():.3g} to {mean.max():.3g}{end}" for name, mean in means.items()}
