"""What every test may ask for: small random networks, images, and the data beside the checkout when it is there."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from torch import Tensor

from toolkit.network import CONVENTIONS, Architecture, Network

# Threads that wait for one another crawl on a busy machine.
torch.set_num_threads(1)

# How long a test takes says nothing on a busy machine.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def tiny_network() -> Callable[..., Network]:
    """Makes a seeded random VGG with three to seven filters a layer."""

    def make(
        name: str = "vgg19",
        *,
        pooling: str = "average",
        convention: str = "torchvision",
        widths: tuple[int, ...] = (3, 4, 5, 6, 7),
        seed: int = 0,
    ) -> Network:
        network = Network(Architecture(name, widths), CONVENTIONS[convention], pooling=pooling)
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            fan_in = parameter[0].numel() if parameter.ndim == 4 else 10.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (2 / fan_in) ** 0.5)
        return network

    return make


@pytest.fixture(scope="session")
def random_image() -> Callable[..., Tensor]:
    """Makes a seeded random image (1, 3, H, W)."""

    def make(height: int = 48, width: int = 64, seed: int = 0) -> Tensor:
        return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real weights and images; a test that asks for it is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real weights and images in ../shared/data")
    return SHARED
