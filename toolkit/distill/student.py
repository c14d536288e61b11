"""A narrow VGG in training, with batch norms and linear read-outs of the teacher's features."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..network import CONVENTIONS, Architecture, Network


class Student(nn.Module):
    """A VGG with average pooling, a batch norm behind each convolution, and a linear read-out behind each ReLU.

    The read-outs map the student's features to the teacher's. The first layer of each block, which style losses use,
    has a second one for its Gram matrix.

    Args:
        architecture: of the student.
        teacher: its architecture; the same layers with other widths.
    """

    def __init__(self, architecture: Architecture, teacher: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.preprocessing = CONVENTIONS["torchvision"]
        self.convolutions = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.readouts = nn.ModuleDict()
        self.gram_readouts = nn.ModuleDict()
        for name, (inputs, outputs) in architecture.convolutions.items():
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            self.convolutions[name] = convolution
            self.norms[name] = nn.BatchNorm2d(outputs)
            self.readouts[name] = nn.Conv2d(outputs, teacher.convolutions[name][1], 1)
            if _first(name):
                self.gram_readouts[name] = nn.Conv2d(outputs, teacher.convolutions[name][1], 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yields each convolution's name and its activations after the ReLU, (N, C, h, w)."""
        x = self.preprocessing(image).contiguous(memory_format=torch.channels_last)
        for layer in self.architecture.layers:
            match layer.kind:
                case "conv":
                    x = F.relu(self.norms[layer.name](self.convolutions[layer.name](x)), inplace=True)
                    yield layer.name, x
                case "pool":
                    x = F.avg_pool2d(x, 2)

    def unexplained(self, image: Tensor, targets: dict[str, Tensor], scales: dict[str, Tensor]) -> dict[str, Tensor]:
        """By convolution and Gram matrix, the squared error of the read-out over the teacher's variance.

        Args:
            image: (N, 3, H, W), RGB in [0, 1].
            targets: the teacher's features, (N, C, h, w), by convolution.
            scales: of ``variances``.
        """
        errors = {}
        for name, features in self(image):
            residual = self.readouts[name](features) - targets[name]
            errors[name] = residual.square().mean(dtype=torch.float32) * residual.shape[1] / scales[name]
            if name in self.gram_readouts:
                difference = gram(self.gram_readouts[name](features)) - gram(targets[name])
                errors[gram_name(name)] = difference.square().sum((1, 2)).mean() / scales[gram_name(name)]
        return errors

    def fold(self, provenance: dict[str, Any]) -> Network:
        """The network, with the running statistics of each batch norm folded into its convolution."""
        network = Network(self.architecture, self.preprocessing, pooling="average", provenance=provenance)
        for name in self.architecture.convolutions:
            norm, own, folded = self.norms[name], self.convolutions[name], network.convolution(name)
            assert isinstance(norm, nn.BatchNorm2d) and isinstance(own, nn.Conv2d) and folded.bias is not None
            assert norm.running_var is not None and norm.running_mean is not None
            given = (norm.weight, norm.bias, norm.running_mean, norm.running_var, own.weight)
            weight, bias, mean, variance, kernel = (each.cpu().double() for each in given)
            scale = weight / (variance + norm.eps).sqrt()
            folded.weight.copy_(kernel * scale.view(-1, 1, 1, 1))
            folded.bias.copy_(bias - mean * scale)
        return network


def variances(targets: dict[str, Tensor]) -> dict[str, Tensor]:
    """The variances that errors are divided by.

    Args:
        targets: the teacher's features, (N, C, h, w), by convolution.

    Returns:
        By convolution, the variance over images and positions, summed over channels; by Gram matrix, the variance over
        images, summed over entries.
    """
    found = {name: target.float().var((0, 2, 3)).sum() for name, target in targets.items()}
    return found | {gram_name(name): gram(target).var(0).sum() for name, target in targets.items() if _first(name)}


def _first(name: str) -> bool:
    return name.endswith("_1")


def gram(features: Tensor) -> Tensor:
    """The Gram matrices (N, C, C) of features (N, C, h, w), in float32."""
    flat = features.flatten(2).float()
    with torch.autocast(features.device.type, enabled=False):
        return flat @ flat.mT / flat.shape[-1]


def gram_name(name: str) -> str:
    """The name of a convolution's Gram matrix among errors and variances: ``conv1_1`` -> ``gram1_1``."""
    return name.replace("conv", "gram")
