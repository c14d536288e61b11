"""The pullback against autograd, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.network import Architecture

LAYERS = [layer.name for layer in Architecture("vgg19").layers]


def relative_error(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@settings(max_examples=60, deadline=None)
@given(
    pooling=st.sampled_from(["average", "max"]),
    convention=st.sampled_from(["torchvision", "caffe"]),
    layers=st.sets(st.sampled_from(LAYERS), min_size=1, max_size=6),
    widths=st.sampled_from([(3, 4, 5, 6, 7), (3, 4, 5, 4, 6, 5, 7, 3, 4, 6, 5, 7, 8, 4, 5, 3)]),
    height=st.integers(32, 71),
    width=st.integers(32, 71),
    seed=st.integers(0, 1000),
)
def test_the_pullback_is_autograds_gradient(tiny_network, pooling, convention, layers, widths, height, width, seed):
    network = tiny_network(pooling=pooling, convention=convention, widths=widths, seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, height, width, dtype=torch.float64, generator=generator, requires_grad=True)
    features = network(image, layers)
    gradients = {name: torch.randn(f.shape, dtype=f.dtype, generator=generator) for name, f in features.items()}
    loss = sum((gradients[name] * f).sum() for name, f in features.items())
    (expected,) = torch.autograd.grad(loss, image)

    given_back = {}

    def add_gradient(name, gradient):
        given_back[name] = trail.features[name]
        gradient.add_(gradients[name])

    trail = network.trail(image.detach(), layers)
    shown = dict(trail.features)
    found = trail.backward(add_gradient)

    assert shown.keys() == given_back.keys() == layers and not trail.features
    for name in layers:
        assert torch.equal(shown[name], features[name]) and torch.equal(given_back[name], features[name])
    assert found.shape == image.shape
    if expected.abs().max() > 0:
        assert relative_error(found, expected) < 1e-10


def test_the_original_features_survive_the_relu_behind_them(tiny_network, random_image):
    features = tiny_network().trail(random_image(), ["conv1_1", "relu1_1"]).features
    assert features["conv1_1"].min() < 0 <= features["relu1_1"].min()


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_the_gradient_of_a_network_in_bfloat16_is_float32(tiny_network, random_image, pooling):
    trail = tiny_network(pooling=pooling).bfloat16().trail(random_image(33, 35), ["relu2_1", "pool2"])

    def add_gradient(name, gradient):
        assert gradient.dtype == trail.features[name].dtype == torch.bfloat16
        gradient.add_(trail.features[name])

    found = trail.backward(add_gradient)
    assert found.dtype == torch.float32 and found.any()


def test_an_unknown_layer_is_named_with_its_neighbours(tiny_network, random_image):
    with pytest.raises(ToolkitError, match=r"Unknown layer 'relu4_9' of vgg19: did you mean relu4_4 or relu4_3 or"):
        tiny_network().trail(random_image(), ["relu4_9"])


def test_an_image_too_small_for_the_deepest_layer_is_refused(tiny_network, random_image):
    with pytest.raises(ToolkitError, match="An image of 15 x 40 pixels is too small for relu5_1: use at least 16 x 16"):
        tiny_network().trail(random_image(40, 15), ["relu5_1"])


@settings(max_examples=30, deadline=None)
@given(
    pooling=st.sampled_from(["average", "max"]),
    layers=st.sets(st.sampled_from(LAYERS), min_size=1, max_size=6),
    height=st.sampled_from([32, 64]),
    width=st.sampled_from([32, 96]),
    seed=st.integers(0, 1000),
)
def test_a_seamless_pullback_is_autograds_gradient_through_circular_padding(
    tiny_network, pooling, layers, height, width, seed
):
    network = tiny_network(pooling=pooling, seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, height, width, dtype=torch.float64, generator=generator, requires_grad=True)
    x, features = network.preprocessing(image), {}
    for layer in network.architecture.down_to(layers):
        if layer.kind == "conv":
            convolution = network.convolution(layer.name)
            padded = torch.cat([x[..., -1:], x, x[..., :1]], -1)
            padded = torch.cat([padded[..., -1:, :], padded, padded[..., :1, :]], -2)
            x = torch.nn.functional.conv2d(padded, convolution.weight, convolution.bias)
        else:
            x = network.step(layer, x)
        if layer.name in layers:
            features[layer.name] = x
    gradients = {name: torch.randn(f.shape, dtype=f.dtype, generator=generator) for name, f in features.items()}
    (expected,) = torch.autograd.grad(sum((gradients[name] * f).sum() for name, f in features.items()), image)

    trail = network.trail(image.detach(), layers, seamless=True)
    for layer, found in trail.features.items():
        assert torch.allclose(found, features[layer], rtol=1e-10, atol=1e-12)
    found = trail.backward(lambda name, gradient: gradient.add_(gradients[name]))
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


def test_a_seamless_image_of_which_a_pooling_would_drop_an_edge_is_refused(tiny_network, random_image):
    with pytest.raises(ToolkitError, match="40 x 33 pixels is not seamless down to relu3_1: make both sides multiples"):
        tiny_network().trail(random_image(33, 40), ["relu3_1"], seamless=True)
