"""State dicts of small networks, and the sentence with which a file is refused."""

import pytest
import torch
import torchvision
from torch import nn

from toolkit.errors import ToolkitError
from toolkit.network import load_network


@pytest.fixture
def state_of():
    """Makes a network's state dict, with layer names or with torchvision's numbers."""

    def make(network, keys="named"):
        indices = [i for i, layer in enumerate(network.architecture.layers) if layer.kind == "conv"]
        stems = network.architecture.convolutions if keys == "named" else [f"features.{i}" for i in indices]
        return {
            f"{stem}.{part}": tensor.contiguous()
            for stem, name in zip(stems, network.architecture.convolutions, strict=True)
            for part, tensor in network.convolution(name).state_dict().items()
        }

    return make


@pytest.fixture(scope="session")
def torchvisions():
    """Makes the layers of one of torchvision's VGGs with seeded random weights, as torchvision itself starts from.

    Its classifier, six times as large, is never filled.
    """

    def make(name):
        torch.manual_seed(0)
        with torch.device("meta"):
            features = getattr(torchvision.models, name)(weights=None).features
        features = features.to_empty(device="cpu").eval().requires_grad_(False)
        for module in features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
        return features

    return make


@pytest.fixture
def refused():
    """Loads a file that must be refused, and gives the sentence."""

    def load(path, **options):
        with pytest.raises(ToolkitError) as error:
            load_network(path, **options)
        return str(error.value)

    return load
