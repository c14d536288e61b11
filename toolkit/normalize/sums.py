"""Sums of activations over images, their means, and how sure these are."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import ToolkitError


@dataclass
class ActivationSums:
    """Sums of activations' sizes by layer, a VGG's by convolution; those over different images add up.

    Attributes:
        sums: float64 (3, O). With s an image's sum over its p positions: the sums over images of s, of s², and of s p.
        counts: how many positions, the sum of p², and how many images.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def add(self, convolution: str, of_images: Tensor, positions: int) -> None:
        """Adds images: float64 (N, O), each one's sums over so many positions."""
        images, total = len(of_images), of_images.sum(0)
        sums = torch.stack([total, of_images.square().sum(0), total * positions])
        self.merge(convolution, sums, (images * positions, images * positions**2, images))

    def merge(self, convolution: str, sums: Tensor, counts: tuple[int, int, int]) -> None:
        """Adds the sums and counts of other images."""
        self.sums[convolution] = self.sums[convolution] + sums if convolution in self.sums else sums
        before = self.counts.get(convolution, (0, 0, 0))
        self.counts[convolution] = (before[0] + counts[0], before[1] + counts[1], before[2] + counts[2])

    def __add__(self, other: "ActivationSums") -> "ActivationSums":
        both = ActivationSums(dict(self.sums), dict(self.counts))
        for name, sums in other.sums.items():
            both.merge(name, sums, other.counts[name])
        return both

    def to(self, device: torch.device) -> "ActivationSums":
        return ActivationSums({name: sums.to(device) for name, sums in self.sums.items()}, self.counts)

    @property
    def positions(self) -> dict[str, int]:
        return {name: positions for name, (positions, _, _) in self.counts.items()}

    def means(self) -> dict[str, Tensor]:
        """From each convolution to its filters' mean activations, float64 (O).

        Raises:
            ToolkitError: when there were no images, or an activation was not finite.
        """
        if not self.sums:
            raise ToolkitError("No image could be read, so there is nothing to measure: name a folder of images.")
        means = {name: sums[0].cpu() / self.positions[name] for name, sums in self.sums.items()}
        if not all(torch.isfinite(mean).all() for mean in means.values()):
            raise ToolkitError("The network's activations are not finite: its weights must be damaged.")
        return means

    def standard_errors(self) -> dict[str, float]:
        """From each convolution to the relative standard error of a mean activation, for the median filter that fires.

        Images are taken as drawn at random. An image's mean weighs as much as it has positions, so the error is that
        of a ratio (Cochran, Sampling Techniques, 1977, chapter 6). Empty when there is a single image.
        """
        errors = {}
        for name, mean in self.means().items():
            sums = self.sums[name].cpu()
            positions, squared, images = self.counts[name]
            if images < 2:
                return {}
            spread = (sums[1] - 2 * mean * sums[2] + mean.square() * squared).clamp(min=0)
            error = (spread * images / (images - 1)).sqrt() / positions
            relative = (error / mean)[mean > 0]
            errors[name] = float(relative.median()) if len(relative) else 0.0
        return errors
