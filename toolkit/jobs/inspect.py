"""What a network file or a picture holds."""

import json
from pathlib import Path
from typing import Any

from ..fields import field
from .job import Job, OfConvention, Outcome


class Inspect(Job):
    """Say what a network file or a picture of this toolkit holds.

    Prints a network's architecture, pooling, preprocessing and provenance, or a picture's recipe.
    """

    file: str = field(..., "a network file or name, or a picture made by this toolkit", positional=True)
    convention: OfConvention = None

    def run(self, progress: Any = lambda step: None) -> Outcome:
        from ..network import find_network, fingerprint, load_vgg, normalized_for
        from ..pictures.decode import SUFFIXES
        from ..pictures.formats import read_recipe

        if Path(self.file).suffix.lower() in SUFFIXES:
            return Outcome(read_recipe(self.file))
        network = load_vgg(self.file, convention=self.convention)
        preprocessing, architecture = network.preprocessing, network.architecture
        filters = sum(outputs for _, outputs in architecture.convolutions.values())
        by_file = normalized_for(find_network(self.file))
        end = f" to {architecture.last}" if architecture.last else ""
        facts = {
            "architecture": f"{architecture.name}{end}, {' '.join(map(str, architecture.widths))} filters",
            "preprocessing": f"{preprocessing.channels} x {preprocessing.range:g}, minus {preprocessing.mean}, "
            f"over {preprocessing.std}",
            "weights": "8 bits, 256 values a layer" if network.codebooks else "one number each",
            "pooling": network.pooling,
            "normalised": f"for {' and '.join(by_file)} pooling" if by_file else "no",
            **{
                f"  {name}:": f"mean activations {mean.min():.3g} to {mean.max():.3g} before, 1 now"
                for name, mean in network.mean_activations.items()
            },
            "parameters": f"{sum(p.numel() for p in network.parameters()):,} in {filters:,} filters",
            "fingerprint": fingerprint(network),
            "provenance": json.dumps(network.provenance, indent=2),
        }
        lines = [f"{name} {fact}" if name.endswith(":") else f"{name:<15}{fact}" for name, fact in facts.items()]
        return Outcome("\n".join(lines), facts)
