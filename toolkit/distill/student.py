"""A narrow VGG in training: batch norm between convolution and ReLU, and linear maps to a teacher's features."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ToolkitError, did_you_mean
from ..network import CONVENTIONS, Architecture, Network


class Student(nn.Module):
    """A network with the teacher's topology and its own widths, average pooling, and one read-out per ReLU layer.

    The first layer of each block, whose Gram matrices style losses compare, has another read-out for these: of equal
    Gram matrices of the student's features, equal ones of the teacher's shall follow.

    Args:
        architecture: the student's.
        teacher: the teacher's; same name, other widths.
        first: the convolution that learns, with those behind it; what comes before stays as it is.

    Raises:
        ToolkitError: when there is no such convolution.
    """

    def __init__(self, architecture: Architecture, teacher: Architecture, first: str = "conv1_1") -> None:
        super().__init__()
        if first not in architecture.convolutions:
            raise ToolkitError(f"Unknown convolution {first!r}: {did_you_mean(first, architecture.convolutions)}")
        names = list(architecture.convolutions)
        self.fixed = frozenset(names[: names.index(first)])
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
            if name in self.fixed:
                convolution.requires_grad_(False)
                self.norms[name].requires_grad_(False)
        self.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> "Student":
        """As of any module, but what does not learn keeps its norms' statistics."""
        super().train(mode)
        for name in self.fixed:
            self.norms[name].eval()
        return self

    def forward(self, image: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yields each convolution's name and its activations behind the ReLU, (N, C, h, w)."""
        x = self.preprocessing(image).contiguous(memory_format=torch.channels_last)
        for layer in self.architecture.layers:
            match layer.kind:
                case "conv":
                    x = F.relu(self.norms[layer.name](self.convolutions[layer.name](x)), inplace=True)
                    yield layer.name, x
                case "pool":
                    x = F.avg_pool2d(x, 2)

    def unexplained(self, image: Tensor, targets: dict[str, Tensor], scales: dict[str, Tensor]) -> dict[str, Tensor]:
        """By convolution, the squared error of the read-out over the variance of the teacher's layer.

        Likewise that of the Gram matrices, for the layers that have a read-out for them. Only of what learns.

        Args:
            image: (N, 3, H, W), RGB in [0, 1].
            targets: the teacher's features, (N, C, h, w), by convolution.
            scales: what ``variances`` finds.
        """
        errors = {}
        for name, features in self(image):
            if name in self.fixed:
                continue
            residual = self.readouts[name](features) - targets[name]
            errors[name] = residual.square().mean(dtype=torch.float32) * residual.shape[1] / scales[name]
            if name in self.gram_readouts:
                difference = gram(self.gram_readouts[name](features)) - gram(targets[name])
                errors[gram_name(name)] = difference.square().sum((1, 2)).mean() / scales[gram_name(name)]
        return errors

    def grow_from(self, other: dict[str, Tensor]) -> None:
        """Takes over what another student of the same topology learnt, as far as both have the filters.

        Filters of this one that the other lacks feed nothing at first but their own kind, so that a wider student
        begins with what the narrower computed (Chen, Goodfellow & Shlens 2016, by zeros instead of copies).

        Args:
            other: that student's state.

        Raises:
            ToolkitError: when it has other layers.
        """
        if other.keys() != self.state_dict().keys():
            raise ToolkitError("A student can grow only from one with the same layers: name another checkpoint.")
        for name, own in self.state_dict().items():
            shared = tuple(slice(min(sizes)) for sizes in zip(own.shape, other[name].shape, strict=True))
            if name.startswith(("convolutions", "readouts", "gram_readouts")) and own.ndim == 4:
                own[shared[0], other[name].shape[1] :] = 0
            own[shared] = other[name][shared]

    def fold(self, provenance: dict[str, Any]) -> Network:
        """The network without batch norm: each norm's running statistics folded into its convolution."""
        network = Network(self.architecture, self.preprocessing, pooling="average", provenance=provenance)
        for name in self.architecture.convolutions:
            norm, own, folded = self.norms[name], self.convolutions[name], network.convolution(name)
            assert isinstance(norm, nn.BatchNorm2d) and isinstance(own, nn.Conv2d) and folded.bias is not None
            assert norm.running_var is not None and norm.running_mean is not None
            scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            folded.weight.copy_(own.weight.double() * scale.view(-1, 1, 1, 1))
            folded.bias.copy_(norm.bias.double() - norm.running_mean.double() * scale)
        return network


def variances(targets: dict[str, Tensor]) -> dict[str, Tensor]:
    """What errors are compared with.

    Args:
        targets: a teacher's features, (N, C, h, w), by convolution.

    Returns:
        By convolution, the features' variance over images and positions, summed over channels; and by the name of its
        Gram matrix the variance of that over images, summed over entries.
    """
    found = {name: target.float().var((0, 2, 3)).sum() for name, target in targets.items()}
    return found | {gram_name(name): gram(target).var(0).sum() for name, target in targets.items() if _first(name)}


def _first(name: str) -> bool:
    return name.endswith("_1")


def gram(features: Tensor) -> Tensor:
    """(N, C, C): each image's Gram matrix over its positions, in float32, from features (N, C, h, w)."""
    flat = features.flatten(2).float()
    with torch.autocast(features.device.type, enabled=False):
        return flat @ flat.mT / flat.shape[-1]


def gram_name(name: str) -> str:
    """What the Gram matrix of a convolution's features is called among errors and variances."""
    return name.replace("conv", "gram")
