"""State dicts of small networks, and the sentence with which a file is refused."""

import pytest

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


@pytest.fixture
def refused():
    """Loads a file that must be refused, and gives the sentence."""

    def load(path, **options):
        with pytest.raises(ToolkitError) as error:
            load_network(path, **options)
        return str(error.value)

    return load
