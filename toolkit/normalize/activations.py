"""The mean activation of every filter, over images and positions, in one streaming pass."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..errors import ToolkitError
from ..network import Network


class ActivationSums:
    """Running sums of post-ReLU activations by convolution, in float64, and of the positions they cover.

    Sums over different images add up, so that shards can be measured apart and merged.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.positions: dict[str, int] = {}
        self.images = 0

    def add(self, features: dict[str, Tensor]) -> None:
        """Adds a batch: from ``reluB_N`` to its activations (N, C, h, w); every image counts by its positions."""
        for name, activation in features.items():
            convolution = name.replace("relu", "conv")
            sums = activation.sum((0, 2, 3), dtype=torch.float64).cpu()
            self.sums[convolution] = self.sums[convolution] + sums if convolution in self.sums else sums
            self.positions[convolution] = self.positions.get(convolution, 0) + activation[:, 0].numel()
        self.images += len(next(iter(features.values())))

    def means(self) -> dict[str, Tensor]:
        """From each convolution to its filters' mean activations, float64 (O).

        Raises:
            ToolkitError: when nothing was measured, or an activation was not finite.
        """
        if not self.images:
            raise ToolkitError("No image could be read, so there is nothing to measure: name a folder of images.")
        means = {name: sums / self.positions[name] for name, sums in self.sums.items()}
        if not all(torch.isfinite(mean).all() for mean in means.values()):
            raise ToolkitError("The network's activations are not finite: its weights must be damaged.")
        return means


def measure(
    network: Network, batches: Iterable[Tensor], progress: Callable[[int], object] = lambda images: None
) -> ActivationSums:
    """Sums the activations behind every ReLU over batches of images.

    Args:
        network: the network, on the device where it is to run.
        batches: (N, 3, H, W) each, RGB in [0, 1]; sizes may differ.
        progress: told the number of images of every batch done.
    """
    layers = [layer.name for layer in network.architecture.layers if layer.kind == "relu"]
    device = next(network.parameters()).device
    measured = ActivationSums()
    for batch in batches:
        measured.add(network(batch.to(device), layers))
        progress(len(batch))
    return measured
