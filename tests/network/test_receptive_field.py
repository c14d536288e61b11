"""Receptive fields are exact, at borders and odd edges too."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.network import CONVENTIONS, DEPTHS, Architecture, Network
from toolkit.network.geometry import receptive_field

LAYERS = [layer.name for layer in Architecture("vgg13").down_to(["relu4_2"])]


@pytest.fixture(scope="module")
def positive():
    """A VGG whose every unit takes a share of everything that it sees."""
    network = Network(Architecture("vgg13", (1, 1, 1, 1, 1)), CONVENTIONS["torchvision"]).double()
    for parameter in network.parameters():
        parameter.fill_(0.1 if parameter.ndim == 4 else 10)
    return network


@settings(deadline=None, max_examples=60)
@given(data=st.data(), height=st.integers(16, 60), width=st.integers(16, 60), name=st.sampled_from(LAYERS))
def test_pixels_within_change_a_unit_and_those_outside_do_not(positive, data, height, width, name):
    image = torch.full((1, 3, height, width), 0.5, dtype=torch.float64, requires_grad=True)
    features = positive(image, [name])[name]
    row, column = (data.draw(st.integers(0, length - 1)) for length in features.shape[-2:])
    features[0, 0, row, column].backward()
    path = positive.architecture.down_to([name])
    rows, columns = receptive_field(path, row, height), receptive_field(path, column, width)
    seen = torch.zeros(height, width, dtype=torch.bool)
    seen[rows.start : rows.stop, columns.start : columns.stop] = True
    assert torch.equal(image.grad[0, 0] != 0, seen)


@pytest.mark.parametrize(
    ("name", "size", "step"),
    [
        ("conv1_1", 3, 1),
        ("relu1_2", 5, 1),
        ("pool1", 6, 2),
        ("relu2_1", 10, 2),
        ("relu3_1", 24, 4),
        ("relu5_1", 156, 16),
    ],
)
def test_in_the_open_their_sizes_are_those_of_vgg19(name, size, step):
    path = Architecture("vgg19").down_to([name])
    assert len(receptive_field(path, 7)) == size
    assert receptive_field(path, 8).start - receptive_field(path, 7).start == step


@pytest.mark.parametrize("name", DEPTHS)
def test_together_they_see_the_whole_image(name):
    path = Architecture(name).down_to(["relu5_1"])
    assert receptive_field(path, 0, 64).start == 0 and receptive_field(path, 3, 64).stop == 64
