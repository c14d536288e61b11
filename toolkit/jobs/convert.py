"""A network in the layout of other people's files."""

from pathlib import Path
from typing import Any

from ..choices import Layout, Pooling
from ..fields import field
from .job import Job, OfConvention, Outcome, Output, VGGSource, written


class Convert(Job):
    """Write a network in the layout of other people's files.

    Writes the weights of a network under the keys that other programs expect, reads the file back, and keeps it only
    if it holds the same network.
    """

    source: VGGSource
    layout: Layout = field(
        ...,
        "torchvision: features.0.weight …; adain: 0.weight …, numbered as in AdaIN's vgg_normalised.pth, where a 1 x 1 "
        "convolution does the preprocessing; gatys: conv1_1.weight …, for BGR in 0..255 less the mean, as "
        "vgg_conv.pth of the authors; plain: conv1_1.weight …, for the network's own input",
    )
    output: Path = field(..., "the file to write: NAME.safetensors, or NAME.pth for a PyTorch state dict", **Output)
    original: bool = field(False, "write the weights as trained, not normalised")
    pooling: Pooling | None = field(None, "the pooling it is normalised for (default: average)")
    convention: OfConvention = None

    def run(self, progress: Any = lambda step: None) -> Outcome:
        from ..files import check_outputs
        from ..network import load_vgg, write_foreign

        check_outputs([self.output], [self.source])
        network = load_vgg(self.source, convention=self.convention, pooling=self.pooling, normalized=not self.original)
        preprocessing = write_foreign(network, self.output, self.layout)
        if self.layout == "adain":
            lines = ["input: RGB in [0, 1]; the first convolution does the preprocessing"]
        else:
            values = f"{preprocessing.channels} in [0, {preprocessing.range:g}]"
            lines = [f"input: {values}, less {preprocessing.mean}, over {preprocessing.std}"]
        if network.mean_activations:
            lines.append(f"normalised for {network.pooling} pooling")
        return Outcome("\n".join([*lines, written(self.output)]))
