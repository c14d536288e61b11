"""A network that is no VGG, by autograd: what a synthesis asks of it, and what it refuses."""

import copy

import pytest
import torch
from torch import nn

from toolkit.errors import ToolkitError
from toolkit.network import ModuleBackbone


def test_its_layers_have_the_shapes_that_its_features_have(residual, random_image):
    for size in ((40, 56), (33, 47)):
        shapes = residual.shapes(["second.relu", "first"], size)
        features = residual.trail(random_image(*size), ["second.relu", "first"]).features
        assert list(shapes) == list(features) == ["first", "second.relu"]
        assert shapes == {name: tuple(found.shape[1:]) for name, found in features.items()}
        assert all(torch.equal(found, features[name]) for name, found in residual.walk(random_image(*size), features))


def test_its_gradient_is_autograds(residual, random_image):
    residual = residual.at(torch.device("cpu"), torch.float64)
    image = random_image(33, 40).double().requires_grad_()
    trail = residual.trail(image.detach(), ["first", "second.relu"])
    gradients = {name: torch.randn_like(found) for name, found in trail.features.items()}
    with torch.enable_grad():
        x = residual.module.first(residual.module.stem(residual.preprocessing(image)))
        deep = residual.module.second.relu(residual.module.second.inner(x) + x)
        loss = (gradients["first"] * x).sum() + (gradients["second.relu"] * deep).sum()
    (expected,) = torch.autograd.grad(loss, image)
    found = trail.backward(lambda name, gradient: gradient.add_(gradients[name]))
    torch.testing.assert_close(found, expected)


def test_features_survive_what_overwrites_them(random_image):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
    features = ModuleBackbone(module).trail(random_image(), ["0", "1"]).features
    assert features["0"].min() < 0 == features["1"].min()


def test_what_a_pixel_takes_is_what_autograd_keeps_and_as_much_again():
    """In float32: three channels of the image, and two of the ReLU's output, at every pixel or at every fourth."""
    for stride, kept in ((1, 12 + 8), (2, 12 + 2)):
        module = nn.Sequential(nn.Conv2d(3, 2, 3, stride, padding=1), nn.ReLU())
        assert ModuleBackbone(module).bytes_of_a_pixel(["1"]) == 2 * kept


def test_what_it_computes_has_a_fingerprint(residual):
    assert residual.at(torch.device("cpu"), torch.float32) is residual
    again = copy.deepcopy(residual)
    assert again.fingerprint == residual.fingerprint
    next(again.parameters()).add_(1e-3)
    assert again.fingerprint != residual.fingerprint


def test_what_it_cannot_do_is_refused_in_a_sentence(residual):
    with pytest.raises(ToolkitError, match="Unknown layer 'firts': did you mean first"):
        residual.shapes(["firts"], (40, 40))
    with pytest.raises(ToolkitError, match="Only a VGG makes seamless textures"):
        residual.shapes(["first"], (64, 64), seamless=True)
    with pytest.raises(ToolkitError, match="no VGG, so it can't be cut into tiles, folded or exported"):
        _ = residual.architecture
    with pytest.raises(ToolkitError, match="2 x 1 pixels is too small for this network"):
        ModuleBackbone(nn.Sequential(nn.Conv2d(3, 4, 5))).shapes(["0"], (1, 2))
