"""The sliced Wasserstein loss against its definition and autograd, in float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.network import load_network
from toolkit.synthesis import Inputs, Objective, Recipe
from toolkit.synthesis.sliced import SlicedLoss, blended_projections, directions, resampled, sorted_projections
from toolkit.synthesis.tiled import TiledObjective

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 7))
SEEDS = st.integers(0, 2**31)
EXACT = torch.float64, torch.device("cpu")


def features(shape, seed):
    return torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def whole(loss, x):
    (layer,) = loss.layers
    value, slope = loss.value(loss.sums({layer: x}))
    gradient = torch.zeros_like(x)
    loss.add_gradient(layer, gradient, {layer: x}, slope)
    return value, gradient


@given(SHAPES, SEEDS, st.booleans())
def test_it_is_the_mean_square_between_sorted_projections(shape, seed, guided):
    x, style = features(shape, seed).requires_grad_(), features(shape, seed + 1)
    guide = torch.rand(1, 1, *shape[1:], generator=torch.Generator().manual_seed(seed)) if guided else None
    inside = torch.ones(shape[1:], dtype=torch.bool) if guide is None else guide[0, 0] >= 0.25
    loss = SlicedLoss("style", 2.0, sorted_projections(style, seed), guide, seed, 0.5)
    along = directions(shape[0], seed, *EXACT)
    ours = (along @ x[0][:, inside]).sort()[0]
    theirs = resampled((along @ style[0].flatten(1)).sort()[0], ours.shape[1])
    expected = 0.5 * (ours - theirs).square().sum() / max(ours.numel(), 1)
    value, gradient = whole(loss, x.detach())
    torch.testing.assert_close(value, expected.detach(), rtol=1e-10, atol=1e-14)
    (slope,) = torch.autograd.grad(2.0 * expected, x)
    torch.testing.assert_close(gradient, slope, rtol=1e-10, atol=1e-12)


@given(st.integers(1, 20), SEEDS)
def test_directions_are_a_rotation_and_follow_the_seed(channels, seed):
    found = directions(channels, seed, *EXACT)
    torch.testing.assert_close(found @ found.mT, torch.eye(channels, dtype=torch.float64))
    assert channels == 1 or not torch.equal(found, directions(channels, seed + 1, *EXACT))


def test_the_order_of_positions_does_not_count():
    x = features((4, 6, 6), 0)
    moved = x.flatten(2)[..., torch.randperm(36)].view_as(x)
    value, gradient = whole(SlicedLoss("style", 1.0, sorted_projections(moved, 0)), x)
    assert value < 1e-20 and gradient.abs().max() < 1e-12


@given(st.integers(1, 40), st.integers(1, 40))
def test_quantiles_of_another_size_stay_sorted_and_within_their_range(before, after):
    values = features((2, 1, before), before).view(2, -1).sort()[0]
    found = resampled(values, after)
    assert found.shape == (2, after)
    assert (found.diff() >= -1e-12).all()
    assert (found >= values[:, :1] - 1e-12).all() and (found <= values[:, -1:] + 1e-12).all()


def test_style_images_blend_by_their_shares():
    values = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 2.0, 4.0, 4.0]])
    torch.testing.assert_close(blended_projections(values, [0.25, 0.75]), torch.tensor([[1.5, 3.25]]))


def test_a_recipe_asks_for_it_and_tiles_refuse_it():
    network, recipe = load_network("vgg19-small"), Recipe.preset("transfer", style_statistic="sliced")
    image, style = (torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(seed)) for seed in range(2))
    mask = torch.zeros(1, 1, 32, 48)
    mask[..., :24] = 1
    for styles, masks in (([style], []), ([style, image], []), ([style, image], [mask, 1 - mask])):
        evaluation = Objective(network, recipe, Inputs(image, styles, masks=masks))(image)
        assert evaluation.losses["style relu1_1"] > 0 and evaluation.gradient.isfinite().all()
    part = Objective(network, recipe, Inputs(image, [style], style_masks=[mask]))(image)
    assert (
        part.losses["style relu1_1"] > 0
        and part.losses != Objective(network, recipe, Inputs(image, [style]))(image).losses
    )
    with pytest.raises(ToolkitError, match="without tiles"):
        TiledObjective(network, recipe, Inputs(image, [style]))
