"""Differences from a reference: exact where nothing is rounded, and nearly so where all else is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.network import Architecture
from toolkit.synthesis.differences import DifferencePullback
from toolkit.synthesis.objective import Objective
from toolkit.synthesis.pullback import Pullback
from toolkit.synthesis.recipe import Recipe

LAYERS = [layer.name for layer in Architecture("vgg19").layers]


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


@settings(max_examples=40, deadline=None)
@given(
    convention=st.sampled_from(["torchvision", "caffe"]),
    layers=st.sets(st.sampled_from(LAYERS), min_size=1, max_size=6),
    differing=st.sets(st.sampled_from(LAYERS), max_size=6),
    height=st.integers(32, 71),
    width=st.integers(32, 71),
    seed=st.integers(0, 1000),
)
def test_without_rounding_it_is_the_pullback(tiny_network, convention, layers, differing, height, width, seed):
    network = tiny_network(convention=convention, seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    reference, image = torch.rand(2, 1, 3, height, width, dtype=torch.float64, generator=generator)
    before, features, gradients = {}, {}, {}
    pullback = Pullback(network, layers)
    pullback.forward(reference, lambda name, shown, _: before.update({name: shown.clone()}))
    trail = pullback.forward(image, lambda name, shown, _: features.update({name: shown.clone()}))
    weights = {name: torch.randn(f.shape, dtype=f.dtype, generator=generator) for name, f in features.items()}

    def weigh(name, gradient, features, difference):
        gradients.setdefault(name, []).append((features.clone(), difference))
        gradient.add_(weights[name] * features)

    expected = pullback.backward(trail, weigh)

    differences = DifferencePullback(network, layers, differing=differing, dtype=torch.float64)
    known, found = {}, {}
    differences.refer(reference, lambda name, shown: known.update({name: shown.clone()}))
    for _ in range(2):  # the reference serves more than once
        trail = differences.forward(image, lambda name, *shown: found.update({name: [part.clone() for part in shown]}))
        torch.testing.assert_close(differences.backward(trail, weigh), expected)
    for name, wanted in features.items():
        torch.testing.assert_close(known[name], before[name])
        torch.testing.assert_close(found[name], [wanted, wanted - before[name]])
        for shown, _ in gradients[name]:
            torch.testing.assert_close(shown, wanted)
        for _, difference in gradients[name][1:]:
            torch.testing.assert_close(difference, wanted - before[name] if name in differing else None)


def test_the_nearer_the_reference_the_less_is_rounded(tiny_network, random_image):
    network = tiny_network(widths=(16, 16, 16, 16, 16))
    recipe, style, image = Recipe.preset("texture"), random_image(seed=1), random_image(seed=2)
    expected = Objective(network, recipe, None, [style])(image).gradient
    distances, errors = (0.3, 0.03, 0.003, 0.0), []
    for distance in distances:
        objective = Objective(network, recipe, None, [style], differences=True)
        objective((1 - distance) * image + distance * random_image(seed=3))
        errors.append(error(objective(image).gradient, expected))
    rounded = error(Objective(network.bfloat16(), recipe, None, [style])(image).gradient, expected)
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < rounded / 3


def test_near_the_goal_bfloat16_is_lost_where_differences_are_not(tiny_network, random_image):
    network = tiny_network(widths=(16, 16, 16, 16, 16))
    recipe, image = Recipe.preset("reconstruction"), random_image(seed=2)
    goal = image + 1e-3 * (random_image(seed=3) - 0.5)
    expected = Objective(network, recipe, goal)(image).gradient
    differences = Objective(network, recipe, goal, differences=True)(image).gradient
    rounded = Objective(network.bfloat16(), recipe, goal)(image).gradient
    assert error(differences, expected) < 0.02 < 0.3 < error(rounded, expected)


@pytest.mark.parametrize("regions", [False, True])
def test_near_a_reference_all_losses_are_those_of_float32(tiny_network, random_image, regions):
    network = tiny_network(widths=(16, 16, 16, 16, 16))
    # Content and style on the same layers too, one of them not a ReLU.
    recipe = Recipe.preset("transfer", content_layers={"relu4_1": 0.5, "conv4_2": 0.5})
    content, *styles = (random_image(90, 120, seed=seed) for seed in range(3))
    masks = [random_image(90, 120, seed=seed)[:, :1] for seed in (3, 4)] if regions else []
    objective = Objective(network, recipe, content, styles, masks, differences=True)
    image = random_image(90, 120, seed=5)
    objective(image.lerp(random_image(90, 120, seed=6), 1e-3))
    found, expected = objective(image), Objective(network, recipe, content, styles, masks)(image)
    assert found.losses == pytest.approx(expected.losses, rel=1e-3)
    assert error(found.gradient, expected.gradient) < 0.02


@pytest.mark.parametrize(
    ("pooling", "memory", "room"), [("average", None, True), ("average", 1, False), ("max", None, False)]
)
def test_there_is_room_for_them_where_the_image_is_whole_and_pooling_linear(tiny_network, pooling, memory, room):
    network = tiny_network(pooling=pooling)
    assert Objective.has_room(network, Recipe.preset("transfer"), (200, 300), memory) is room


def test_without_room_they_are_refused(tiny_network, random_image):
    objective = Objective(tiny_network(), Recipe.preset("texture"), None, [random_image()], memory=1, differences=True)
    with pytest.raises(ValueError, match="room for the whole image"):
        objective(random_image(200, 300))


def test_max_pooling_is_refused(tiny_network):
    with pytest.raises(ValueError, match="average pooling"):
        DifferencePullback(tiny_network(pooling="max"), ["relu2_1"])
