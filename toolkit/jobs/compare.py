"""The mean activations of two normalised networks against each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..choices import SCALES
from ..errors import InputError
from ..fields import field
from .job import VGG_HELP, Job, OfConvention, Outcome

if TYPE_CHECKING:
    from torch import Tensor

    from ..network import Network


class Compare(Job):
    """Compare the mean activations of two normalised networks.

    Prints, layer by layer, how well the mean activations of two normalised networks agree. A file of this toolkit
    holds them. For other files they are computed from the weights and the original.
    """

    a: str = field(..., f"a normalised network, or a {SCALES} file", positional=True, metavar="A")
    b: str = field(..., "another", positional=True, metavar="B")
    original: str | None = field(
        None, f"the weights as trained, for other people's files: {VGG_HELP}", metavar="SOURCE"
    )
    convention: OfConvention = None

    def run(self, progress: Any = lambda step: None) -> Outcome:
        from ..network import load_vgg
        from ..normalize.comparison import agreement

        original = None
        if self.original:
            original = load_vgg(self.original, convention=self.convention, normalized=False)
        agreed = agreement(*(self._mean_activations(source, original) for source in (self.a, self.b)))
        lines = [
            f"{name.replace('conv', 'relu'):<10}{layer.log_correlation:>15.5f}{layer.median_ratio:>12.4f}"
            f"{layer.filters:>9}"
            for name, layer in agreed.items()
        ]
        return Outcome("\n".join(["layer     log-correlation  median A/B  filters", *lines]))

    def _mean_activations(self, source: str, original: "Network | None") -> "Mapping[str, Tensor]":
        from ..network import load_vgg
        from ..normalize import MeanActivations
        from ..normalize.comparison import implied_mean_activations

        if source.endswith(SCALES):
            return MeanActivations.load(Path(source)).means
        network = load_vgg(source, convention=self.convention)
        if network.mean_activations:
            return network.mean_activations
        if original is None:
            raise InputError(f"{source} holds no mean activations: name the weights as they were trained.", "original")
        return implied_mean_activations(network, original)
