"""Every loss and its closed-form gradient against the textbook formula and autograd, in float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.synthesis.gaussian import mean_and_covariance, wasserstein
from toolkit.synthesis.image_losses import TotalVariation
from toolkit.synthesis.losses import FeaturesLoss, MomentsLoss
from toolkit.synthesis.recipe import Recipe
from toolkit.synthesis.statistics import Moments, gram, moment_sums, moments
from toolkit.synthesis.targets import Targets, guides_of, losses_of

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 9), st.integers(1, 9))
SEEDS = st.integers(0, 2**31)
DISTANCES = {"gram": gram, "moments": mean_and_covariance, "wasserstein": wasserstein}


def features(shape, seed):
    return torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def of(x):
    return moments(moment_sums(x))


def whole(loss, x):
    """A loss's value and gradient from all features at once."""
    (layer,) = loss.layers
    sums = loss.sums({layer: x})
    nothing = loss.no_sums({layer: x.shape[1]}, sums[0])
    assert [tensor.shape for tensor in sums] == [tensor.shape for tensor in nothing]
    assert not any(tensor.any() for tensor in nothing)
    value, slope = loss.value(sums)
    gradient = torch.zeros_like(x)
    loss.add_gradient(layer, gradient, {layer: x}, slope)
    return value, gradient


def in_parts(loss, x):
    """The same from two parts of the features, where there are two."""
    width = x.shape[-1]
    at = (width + 1) // 2
    windows = [(..., slice(None), slice(0, at)), (..., slice(None), slice(at, None))][:width]
    (layer,) = loss.layers
    parts = [loss.within({layer: window}).sums({layer: x[window]}) for window in windows]
    value, slope = loss.value(tuple(map(sum, zip(*parts, strict=True))))
    gradient = torch.zeros_like(x)
    for window in windows:
        loss.within({layer: window}).add_gradient(layer, gradient[window], {layer: x[window]}, slope)
    return value, gradient


def by_formula(target, formula="mean"):
    """The content loss that a recipe asks for."""
    recipe = Recipe.preset("reconstruction", content_layers={"relu1_1": 1.0}, content_weight=3.0, formula=formula)
    return losses_of(recipe, Targets({"relu1_1": target}, (), ()))[0]


def assert_matches(found, expected_value, x, weight):
    value, gradient = found
    (expected_gradient,) = torch.autograd.grad(weight * expected_value, x, retain_graph=True)
    torch.testing.assert_close(value, expected_value.detach(), rtol=1e-10, atol=0)
    scale = expected_gradient.abs().max().item()
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12 * scale)


@given(SHAPES, SEEDS)
def test_the_content_loss_is_the_mean_square(shape, seed):
    x, target = features(shape, seed).requires_grad_(), features(shape, seed + 1)
    for compute in (whole, in_parts):
        loss = by_formula(target)
        assert_matches(compute(loss, x.detach()), (x - target).square().mean(), x, 3.0)


@given(SHAPES, SEEDS)
def test_the_papers_content_loss_is_half_the_sum(shape, seed):
    x, target = features(shape, seed).requires_grad_(), features(shape, seed + 1)
    for compute in (whole, in_parts):
        loss = by_formula(target, "paper")
        assert_matches(compute(loss, x.detach()), (x - target).square().sum() / 2, x, 3.0)


@given(SHAPES, SEEDS)
def test_the_style_loss_is_the_mean_square_between_gram_matrices(shape, seed):
    x, target = features(shape, seed).requires_grad_(), of(features(shape, seed + 1))
    flat = x[0].flatten(1)
    expected = (flat @ flat.T / flat.shape[1] - target.gram).square().mean()
    for compute in (whole, in_parts):
        assert_matches(compute(MomentsLoss("style", 2.0, gram(target)), x.detach()), expected, x, 2.0)


@given(SHAPES, SEEDS)
def test_the_papers_style_loss_is_equation_four(shape, seed):
    x, other = features(shape, seed).requires_grad_(), features(shape, seed + 1)
    flat, style = x[0].flatten(1), other[0].flatten(1)
    filters, positions = flat.shape
    expected = (flat @ flat.T - style @ style.T).square().sum() / (4 * filters**2 * positions**2)
    assert_matches(whole(MomentsLoss("style", 2.0, gram(of(other)), scale=0.25), x.detach()), expected, x, 2.0)


@given(SHAPES, SEEDS)
def test_a_guided_style_loss_compares_guided_gram_matrices(shape, seed):
    """Gatys et al. 2017, equations 6 to 8: features times a guidance channel whose squares sum to one."""
    x, target = features(shape, seed).requires_grad_(), of(features(shape, seed + 1))
    guide = torch.rand(1, 1, *shape[1:], dtype=torch.float64) + 0.1
    channel = (guide / guide.square().sum().sqrt())[0, 0]
    guided = (x[0] * channel).flatten(1)
    expected = (guided @ guided.T - target.gram).square().mean()
    for compute in (whole, in_parts):
        assert_matches(
            compute(MomentsLoss("style", 2.0, gram(target), guide=guide.square()), x.detach()), expected, x, 2.0
        )


@pytest.mark.parametrize("name", DISTANCES)
@given(shape=SHAPES, seed=SEEDS, guided=st.booleans())
def test_every_statistic_makes_a_style_loss_with_autograds_gradient(name, shape, seed, guided):
    x, target = features(shape, seed).requires_grad_(), of(features((shape[0], 4, 5), seed + 1))
    guide = torch.rand(1, 1, *shape[1:], dtype=torch.float64) + 0.1 if guided else None
    expected, _ = DISTANCES[name](target)(moments(moment_sums(x, guide)))
    for compute in (whole, in_parts):
        loss = MomentsLoss("style", 2.0, DISTANCES[name](target), guide, 0.25)
        assert_matches(compute(loss, x.detach()), 0.25 * expected, x, 2.0)


@given(st.tuples(st.just(3), st.integers(1, 6), st.integers(1, 6)), SEEDS)
def test_total_variation_is_the_mean_square_of_neighbours_differences(shape, seed):
    x = features(shape, seed).requires_grad_()
    expected = sum(
        (difference.square().mean() for axis in (2, 3) if (difference := x.diff(dim=axis)).numel()), x.sum() * 0
    )
    assert_matches(TotalVariation(5.0)(x.detach()), expected, x, 5.0)


@given(st.tuples(st.integers(1, 40), st.integers(1, 20), st.integers(1, 20)), SEEDS)
def test_float32_is_as_exact_as_float32_can_be(shape, seed):
    """It is computed in another way than float64."""
    x, other, guide = features(shape, seed), features(shape, seed + 1), torch.rand(1, 1, *shape[1:])
    target = of(other)
    for order in (torch.contiguous_format, torch.channels_last):
        rounded = x.float().contiguous(memory_format=order)
        for own, rounded_own in ((None, None), (guide.double(), guide)):
            exact = whole(MomentsLoss("style", 1.0, gram(target), guide=own), x)
            rounded_target = Moments(*(part.float() for part in target))
            found = whole(MomentsLoss("style", 1.0, gram(rounded_target), guide=rounded_own), rounded)
            torch.testing.assert_close(found[0].double(), exact[0], rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(found[1].double(), exact[1], rtol=1e-4, atol=1e-4 * float(exact[1].abs().max()))


def test_gradients_keep_the_precision_of_their_features():
    x = torch.rand(1, 4, 5, 5).bfloat16()
    for loss in (FeaturesLoss("content", 1.0, x + 1, x.numel()), MomentsLoss("style", 1.0, gram(of(x + 1)))):
        value, gradient = whole(loss, x)
        assert (value.dtype, gradient.dtype) == (torch.float32, torch.bfloat16)
        assert value > 0 and gradient.any()


def test_a_guide_that_is_nowhere_asks_for_nothing():
    x = features((3, 4, 5), 0)
    value, gradient = whole(MomentsLoss("style", 2.0, gram(of(x + 1)), guide=torch.zeros(1, 1, 4, 5, dtype=x.dtype)), x)
    assert value == 0 and not gradient.any()


def test_a_guide_is_the_squared_mean_of_the_mask_under_each_position():
    mask = torch.rand(1, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    found = guides_of(mask, {"relu1_1": (5, 6, 8), "relu2_1": (7, 3, 4)})
    assert list(found) == ["relu1_1", "relu2_1"]
    torch.testing.assert_close(found["relu1_1"], mask.square())
    torch.testing.assert_close(found["relu2_1"], mask.reshape(1, 1, 3, 2, 4, 2).mean((3, 5)).square())


@given(st.integers(4, 40), st.integers(4, 40))
def test_a_mask_that_is_everywhere_guides_everywhere_at_odd_sizes_too(height, width):
    shapes = {"relu2_1": (7, height // 2, width // 2), "relu3_1": (9, height // 4, width // 4)}
    found = guides_of(torch.ones(1, 1, height, width), shapes)
    assert {name: tuple(guide.shape[-2:]) for name, guide in found.items()} == {
        "relu2_1": (height // 2, width // 2),
        "relu3_1": (height // 4, width // 4),
    }
    for guide in found.values():
        torch.testing.assert_close(guide, torch.ones_like(guide))
