"""Sums of activations over images, and their means."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import ToolkitError


@dataclass
class ActivationSums:
    """Sums of post-ReLU activations by convolution, float64 (O), and the number of positions they cover.

    Sums over different images add up, so several processes can measure their own share.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)

    def add(self, convolution: str, sums: Tensor, positions: int) -> None:
        """Adds the sums of more images."""
        self.sums[convolution] = self.sums[convolution] + sums if convolution in self.sums else sums
        self.positions[convolution] = self.positions.get(convolution, 0) + positions

    def __add__(self, other: "ActivationSums") -> "ActivationSums":
        """Both together."""
        both = ActivationSums(dict(self.sums), dict(self.positions))
        for name, sums in other.sums.items():
            both.add(name, sums, other.positions[name])
        return both

    def to(self, device: torch.device) -> "ActivationSums":
        """The same, on that device."""
        return ActivationSums({name: sums.to(device) for name, sums in self.sums.items()}, self.positions)

    def means(self) -> dict[str, Tensor]:
        """From each convolution to its filters' mean activations, float64 (O).

        Raises:
            ToolkitError: when nothing was measured, or an activation was not finite.
        """
        if not self.sums:
            raise ToolkitError("No image could be read, so there is nothing to measure: name a folder of images.")
        means = {name: sums.cpu() / self.positions[name] for name, sums in self.sums.items()}
        if not all(torch.isfinite(mean).all() for mean in means.values()):
            raise ToolkitError("The network's activations are not finite: its weights must be damaged.")
        return means
