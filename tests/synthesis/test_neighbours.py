"""The finish against the textbook: vectors written out, the nearest by brute force, the gradient by autograd."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.network import ModuleBackbone
from toolkit.synthesis import Inputs, Recipe, Synthesis
from toolkit.synthesis.neighbours import add_back, onto
from toolkit.synthesis.objective import Objective
from toolkit.synthesis.tiled import TiledObjective

LAYERS = {"relu1_1": 0.2, "relu2_1": 0.5, "relu3_1": 0.2, "relu4_1": 0.1, "relu5_1": 0.3}

#: What sees more than a stroke.
LEFT_OUT = "relu5_1"


def recipe(**fields):
    return Recipe.preset("transfer", **{"style_layers": LAYERS, "finish": 0.7, "style_weight": 3.0, **fields})


def joined(network, image):
    """Vectors (h w, C): averages over cells of 4 x 4 pixels; what the poolings drop at an edge has no position."""
    features = network(image, list(LAYERS))
    height, width = features["relu3_1"].shape[-2:]
    parts = []
    for layer, weight in LAYERS.items():
        if layer == LEFT_OUT:
            continue
        own = features[layer]
        cell = {"relu1_1": 4, "relu2_1": 2}.get(layer)
        if cell:
            own = (
                own[..., : cell * height, : cell * width].unflatten(3, (-1, cell)).unflatten(2, (-1, cell)).mean((3, 5))
            )
        elif layer == "relu4_1":
            rows, columns = (torch.arange(side) // 2 for side in (height, width))
            rows, columns = rows.clamp(max=own.shape[2] - 1), columns.clamp(max=own.shape[3] - 1)
            own = own[:, :, rows][..., columns]
        parts.append(own[0] * (weight / own.shape[1]) ** 0.5)
    return torch.cat(parts).flatten(1).mT, (height, width)


def textbook(network, styles, near, image, guides=None):
    """The loss before its weight, and its gradient by autograd."""
    image = image.clone().requires_grad_()
    vectors, size = joined(network, image)
    sources = [F.normalize(joined(network, style)[0]) for style in styles]
    loss = 0
    for number, choice in enumerate(sources if guides else [torch.cat(sources)]):
        cosines = F.normalize(joined(network, near)[0]) @ choice.mT
        nearest = choice[cosines.argmax(1)]
        distance = 1 - (F.normalize(vectors) * nearest).sum(1)
        counted = F.adaptive_avg_pool2d(guides[number], size).square().flatten() if guides else 1
        loss = loss + 5 * (distance * counted).mean() / (len(styles) if guides else 1)
    (gradient,) = torch.autograd.grad(loss, image)
    return loss.detach(), gradient


def of_the_finish(objective, image, near):
    """The finish's loss, and its part of the gradient."""
    before = objective(image)
    objective.match(near)
    after = objective(image)
    return after.losses["neighbours"], after.gradient - before.gradient


@settings(max_examples=20)
@given(st.integers(32, 75), st.integers(32, 75), st.booleans(), st.integers(1, 2))
def test_loss_and_gradient_are_those_of_autograd(tiny_network, random_image, height, width, masked, count):
    network = tiny_network().double()
    image, near, content = (random_image(height, width, seed).double() for seed in range(3))
    styles = [random_image(40 + 7 * number, 52, 5 + number).double() for number in range(count)]
    masks = [random_image(height, width, 9 + number).double()[:, :1] for number in range(count)] if masked else []
    objective = Objective(network, recipe(), Inputs(content, styles, masks=masks))
    loss, gradient = of_the_finish(objective, image, near)
    expected, by_autograd = textbook(network, styles, near, image, masks)
    assert float(loss) == pytest.approx(float(expected), rel=1e-10)
    weight = 0.7 * 3.0 * sum(LAYERS.values())
    assert (gradient - weight * by_autograd).abs().max() < 1e-10 * (weight * by_autograd).abs().max() + 1e-14


@settings(max_examples=20)
@given(st.integers(33, 120), st.integers(33, 120), st.integers(1, 12_000), st.booleans())
def test_tiles_find_the_same_neighbours_and_gradient(tiny_network, random_image, height, width, pixels, masked):
    network = tiny_network().double()
    image, near, content = (random_image(height, width, seed).double() for seed in range(3))
    style = random_image(70, 64, 5).double()
    masks = [random_image(height, width, 9).double()[:, :1]] if masked else []
    arguments = network, recipe(), Inputs(content, [style], masks=masks)
    whole, tiled = Objective(*arguments), TiledObjective(*arguments, pixels=pixels)
    for objective in (whole, tiled):
        objective.match(near)
    first, second = (made.targets.candidates[0][made.targets.matches[0]] for made in (whole, tiled))
    assert (first - second).abs().max() < 1e-12  # tiles give them in another order
    expected, found = whole(image), tiled(image)
    assert float(found.losses["neighbours"]) == pytest.approx(float(expected.losses["neighbours"]), rel=1e-10)
    assert (found.gradient - expected.gradient).abs().max() < 1e-10 * expected.gradient.abs().max()


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 4, 8]), st.booleans())
def test_the_way_back_is_the_transpose_of_the_way_onto_the_grid(height, width, cell, finer):
    sizes = (height * cell + cell // 2, width * cell), (height, width)
    size, grid = sizes if finer else sizes[::-1]
    generator = torch.Generator().manual_seed(height)
    features = torch.rand(1, 3, *size, dtype=torch.float64, generator=generator)
    own = torch.rand(*grid, 3, dtype=torch.float64, generator=generator)
    gradient = torch.zeros_like(features, memory_format=torch.channels_last)
    add_back(gradient, own)
    on_grid = (onto(features, grid)[0].permute(1, 2, 0) * own).sum()
    assert float((features * gradient).sum()) == pytest.approx(float(on_grid), rel=1e-12)


def test_with_style_masks_only_the_bright_part_is_chosen_from(tiny_network, random_image):
    style = random_image(64, 64, 1)
    style[..., 32:] = style[..., 32:] / 4
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1.0
    image = random_image(48, 48, 2)
    inputs = Inputs(image, [style], style_masks=[mask])
    objective = Objective(tiny_network(), recipe(), inputs)
    objective.match(image)
    assert objective.targets.candidates[0].shape[0] == 16 * 8  # half of the grid's 16 x 16 positions
    dim = Objective(tiny_network(), recipe(), Inputs(image, [style], style_masks=[0.1 * mask]))
    dim.match(image)
    assert dim.targets.candidates[0].shape[0] == 16 * 8


def test_style_images_that_blend_give_vectors_by_their_shares(tiny_network, random_image, monkeypatch):
    monkeypatch.setattr("toolkit.synthesis.targets.CANDIDATES", 100)
    image = random_image(48, 48, 2)
    inputs = Inputs(image, [random_image(64, 64, 3), random_image(64, 64, 4)])
    objective = Objective(tiny_network(), recipe(style_image_weights=(1, 3)), inputs)
    objective.match(image)
    alone = Objective(tiny_network(), recipe(), Inputs(image, inputs.styles[:1]))
    alone.match(image)
    first, blended = alone.targets.candidates[0], objective.targets.candidates[0]
    assert len(blended) == 100
    assert int(torch.isclose(torch.cdist(blended, first).min(1).values, torch.zeros(()), atol=1e-3).sum()) == 25


def test_a_run_restored_within_the_finish_goes_on_to_the_same_image(tiny_network, random_image):
    arguments = tiny_network(), recipe(size=96, iterations=24, coarsest=48)
    images = {"content": random_image(80, 96, 1), "styles": [random_image(64, 64, 2)]}
    through = Synthesis(*arguments, **images)
    assert [stage.with_finish for stage in through.stages] == [False, True]
    for progress in through:
        if progress.iteration == 19:
            state = copy.deepcopy(through.state())
    resumed = Synthesis(*arguments, **images)
    resumed.restore(state)
    assert [progress.iteration for progress in resumed] == [20, 21, 22, 23, 24]
    assert torch.equal(resumed.image, through.image)


def test_a_finish_without_style_is_none(tiny_network, random_image):
    plain = Recipe.preset("reconstruction", size=64, iterations=4, finish=1.0, content_layers="relu2_1")
    synthesis = Synthesis(tiny_network(), plain, content=random_image(64, 64))
    assert not any(stage.with_finish for stage in synthesis.stages)
    assert all("neighbours" not in progress.losses for progress in synthesis)


def test_a_network_whose_layers_are_no_halves_is_refused(random_image):
    first, second = (torch.nn.Conv2d(channels, 4, 3, stride=3) for channels in (3, 4))
    module = torch.nn.Sequential(first, torch.nn.ReLU(), second)
    made = recipe(style_layers={"1": 0.5, "2": 0.5}, content_layers={"1": 1.0}, size=64)
    with pytest.raises(ToolkitError, match="finish"):
        for _ in Synthesis(ModuleBackbone(module), made, content=random_image(64, 64), styles=[random_image(64, 64)]):
            pass
