"""The pullback against autograd, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.network import Architecture
from toolkit.synthesis.objective import Objective
from toolkit.synthesis.pullback import Pullback
from toolkit.synthesis.recipe import Recipe

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

    pullback = Pullback(network, layers)
    found_features = {}
    trail = pullback.forward(image.detach(), lambda name, features, _: found_features.update({name: features.clone()}))
    found = pullback.backward(trail, lambda name, gradient, *_: gradient.add_(gradients[name]))

    for name in layers:
        assert torch.equal(found_features[name], features[name])
    assert found.shape == image.shape
    if expected.abs().max() > 0:
        assert relative_error(found, expected) < 1e-10


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("formula", ["mean", "paper"])
@pytest.mark.parametrize("size", [(32, 32), (37, 53), (64, 45)])
def test_a_whole_objective_has_autograds_value_and_gradient(tiny_network, random_image, pooling, formula, size):
    network = tiny_network(pooling=pooling).double()
    content, style = random_image(*size, seed=1).double(), random_image(40, 50, seed=2).double()
    recipe = Recipe.preset(
        "transfer",
        content_layers={"relu4_2": 0.7, "conv3_1": 0.3, "relu2_1": 0.2},
        style_layers={"relu1_1": 0.5, "conv2_2": 0.1, "pool3": 0.2, "relu2_1": 0.2, "relu5_1": 1.0},
        total_variation_weight=3.0,
        formula=formula,
    )
    image = random_image(*size, seed=3).double().requires_grad_()

    expected = 0.0
    features = network(image, [*recipe.content_layers, *recipe.style_layers])
    targets, styles = network(content, recipe.content_layers), network(style, recipe.style_layers)
    for name, weight in recipe.content_layers.items():
        squares = (features[name] - targets[name]).square()
        expected += recipe.content_weight * weight * (squares.mean() if formula == "mean" else squares.sum() / 2)
    for name, weight in recipe.style_layers.items():
        grams = [f[0].flatten(1) @ f[0].flatten(1).T / f[0, 0].numel() for f in (features[name], styles[name])]
        share = 1.0 if formula == "mean" else 0.25
        expected += recipe.style_weight * weight * share * (grams[0] - grams[1]).square().mean()
    expected += 3.0 * (image.diff(dim=2).square().mean() + image.diff(dim=3).square().mean())
    (gradient,) = torch.autograd.grad(expected, image)

    evaluation = Objective(network, recipe, content, [style])(image.detach())
    assert evaluation.objective == pytest.approx(expected.item(), rel=1e-10)
    assert relative_error(evaluation.gradient, gradient) < 1e-10


def test_several_styles_have_the_gradient_of_their_weighted_losses(tiny_network, random_image):
    network = tiny_network().double()
    styles = [random_image(40, 40, seed=seed).double() for seed in (1, 2, 3)]
    image, weights = random_image(seed=4).double(), (0.2, 0.5, 0.3)

    def gradient(styles, **wishes):
        return Objective(network, Recipe.preset("texture", **wishes), None, styles)(image).gradient

    together = gradient(styles, style_image_weights=weights)
    apart = sum(weight * gradient([style]) for weight, style in zip(weights, styles, strict=True))
    assert relative_error(together, apart) < 1e-10


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_bfloat16_gives_nearly_the_same_gradient(tiny_network, random_image, pooling):
    network = tiny_network(pooling=pooling, widths=(16, 16, 16, 16, 16))
    recipe, style, image = Recipe.preset("texture"), random_image(seed=1), random_image(seed=2)
    exact = Objective(network, recipe, None, [style])(image).gradient.clone()
    rough = Objective(network.bfloat16(), recipe, None, [style])(image).gradient
    assert rough.dtype == torch.float32
    cosine = torch.nn.functional.cosine_similarity(exact.flatten(), rough.flatten(), dim=0)
    assert cosine > (0.97 if pooling == "average" else 0.9)


def test_the_original_features_survive_the_relu_behind_them(tiny_network, random_image):
    features = {}
    Pullback(tiny_network(), ["conv1_1", "relu1_1"]).forward(
        random_image(), lambda name, shown, _: features.update({name: shown})
    )
    assert features["conv1_1"].min() < 0 <= features["relu1_1"].min()


def test_an_unknown_layer_is_named_with_its_neighbours(tiny_network):
    with pytest.raises(ToolkitError, match=r"Unknown layer 'relu4_9' of vgg19: did you mean relu4_4 or relu4_3 or"):
        Pullback(tiny_network(), ["relu4_9"])


def test_an_image_too_small_for_the_deepest_layer_is_refused(tiny_network, random_image):
    with pytest.raises(ToolkitError, match="An image of 15 x 40 pixels is too small for relu5_1: use at least 16 x 16"):
        Pullback(tiny_network(), ["relu5_1"]).forward(random_image(40, 15), print)
