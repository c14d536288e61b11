"""The losses as modules: against autograd's, for batches, under autocast and torch.compile, and in a training."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import toolkit
from toolkit import ContentLoss, Inputs, Objective, Recipe, StyleLoss
from toolkit.errors import ToolkitError
from toolkit.pictures.formats import save_image

EXAMPLE = Path(toolkit.__file__).parent / "examples" / "train.py"


@pytest.fixture
def network(tiny_network):
    return tiny_network()


@pytest.fixture
def batch(random_image):
    return torch.cat([random_image(seed=seed) for seed in range(3)])


def gram(features):
    return features.flatten(2) @ features.flatten(2).mT / features[0, 0].numel()


def test_both_are_autograds_in_float64(network, batch, random_image):
    recipe = Recipe.preset("transfer", style_statistic="gram", style_layers="relu1_1=2,relu3_1", size=64)
    layers = [*recipe.content_layers, *recipe.style_layers]
    images, style = batch.double().requires_grad_(), random_image(48, 64, 7)
    exact = copy.deepcopy(network).double()
    loss = ContentLoss(network, recipe)(images, batch.flip(0)) + StyleLoss(network, recipe, [style])(images)
    (found,) = torch.autograd.grad(3 * loss, images)
    with torch.enable_grad():
        features = exact(images, layers)
        wanted, targets = exact(batch.double().flip(0), layers), exact(style, layers)
        expected = (features["relu4_2"] - wanted["relu4_2"]).square().mean()
        for layer, weight in recipe.style_layers.items():
            difference = gram(features[layer]) - gram(targets[layer])
            expected = expected + recipe.style_weight * weight * difference.square().mean()
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(found, torch.autograd.grad(3 * expected, images)[0], rtol=1e-5, atol=1e-9)


def test_the_gradient_is_that_of_the_value(residual, random_image):
    """By finite differences in float64, for a network that is no VGG."""
    recipe = Recipe.preset("transfer", content_layers="first", style_layers="second.relu", size=16)
    losses = StyleLoss(residual, recipe, [random_image(16, 16, 3)]), ContentLoss(residual, recipe)
    images = torch.cat([random_image(8, 9, seed) for seed in (4, 5)]).double()
    contents = images.flip(0)
    images.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: losses[0](x) + losses[1](x, contents), images, fast_mode=True)


@pytest.mark.parametrize("statistic", ["gram", "moments", "wasserstein", "sliced"])
def test_together_they_are_a_synthesis_objective(network, batch, random_image, statistic):
    masks = [torch.zeros(1, 1, 48, 64), torch.ones(1, 1, 48, 64)]
    masks[0][..., :32], masks[1][..., :32] = 1, 0
    styles = [random_image(40, 64, seed) for seed in (5, 6)]
    masked = {"masks": masks, "style_masks": [masks[1][..., :40, :], masks[0][..., :40, :]]}
    recipe = Recipe.preset(
        "transfer", style_statistic=statistic, formula="paper", size=64, total_variation_weight=0, content_weight=2
    )
    content, style = (
        ContentLoss(network, recipe),
        StyleLoss(network, recipe, styles, **masked),
    )
    images = batch.clone().requires_grad_()
    loss = content(images, batch.flip(2)) + style(images)
    loss.backward()
    for image, photo, gradient in zip(batch.split(1), batch.flip(2).split(1), images.grad.split(1), strict=True):
        objective = Objective(network, recipe, Inputs(photo, styles, **masked))
        found = objective(image)
        loss = loss.detach() - found.objective / 3
        torch.testing.assert_close(gradient, found.gradient / 3, rtol=1e-4, atol=1e-7)
    assert abs(float(loss)) < 1e-4 * float(found.objective)


def test_a_style_is_as_large_as_the_recipe_says_beside_each_batch(network, batch, random_image):
    recipe, style = Recipe.preset("texture", style_scale=0.5), random_image(128, 128, 9)
    loss = StyleLoss(network, recipe, [style])
    small = batch[..., :40, :40].contiguous()
    for images in (batch, small, batch):
        inputs = Inputs(styles=[style]).at(recipe, images.shape[-2:], torch.device("cpu"))
        expected = sum(Objective(network, recipe, inputs)(image).objective for image in images.split(1)) / 3
        torch.testing.assert_close(loss(images), expected)


def test_what_holds_it_trains_and_saves_nothing_of_it(network, random_image):
    holder = nn.Module()
    holder.loss = StyleLoss(network, Recipe.preset("texture"), [random_image()])
    assert not list(holder.parameters()) and not holder.state_dict()


def test_under_autocast_statistics_stay_exact(network, batch, random_image):
    loss = StyleLoss(network, Recipe.preset("transfer"), [random_image(seed=8)])
    exact = loss(batch)
    for dtype, tolerance in ((torch.bfloat16, 0.05), (torch.float16, 1e-6)):
        painter = nn.Conv2d(3, 3, 1)
        with torch.autocast("cpu", dtype=dtype):
            found = loss(batch)
            painted = painter(batch)
            loss(painted).backward()
        assert found.dtype == torch.float32 and painted.dtype == dtype
        torch.testing.assert_close(found, exact, rtol=tolerance, atol=0)
        assert torch.isfinite(painter.weight.grad).all() and painter.weight.grad.any()


def test_what_is_around_it_can_be_compiled(network, batch, random_image):
    loss, painter = StyleLoss(network, Recipe.preset("transfer"), [random_image(seed=8)]), nn.Conv2d(3, 3, 1)
    found = {}
    for name, train in (
        ("plain", lambda x: loss(painter(x)) * 2),
        ("compiled", torch.compile(lambda x: loss(painter(x)) * 2, backend="aot_eager")),
    ):
        value = train(batch)
        found[name] = value, *torch.autograd.grad(value, painter.parameters())
    torch.testing.assert_close(found["compiled"], found["plain"])


def test_what_does_not_suit_is_refused(network, batch, random_image):
    transfer = Recipe.preset("transfer")
    with pytest.raises(ToolkitError, match="nothing to optimise"):
        StyleLoss(network, Recipe.preset("reconstruction"), [random_image()])
    with pytest.raises(ToolkitError, match="nothing to optimise"):
        ContentLoss(network, Recipe.preset("texture"))
    with pytest.raises(ToolkitError, match="needs a style image"):
        StyleLoss(network, transfer, [])
    with pytest.raises(ToolkitError, match="give each image a content image of its size"):
        ContentLoss(network, transfer)(batch, batch[:1])
    with pytest.raises(ToolkitError, match="Unknown layer"):
        StyleLoss(network, transfer.with_(style_layers="relu9_1"), [random_image()])(batch)


def test_the_example_trains(tmp_path, random_image):
    (tmp_path / "photos").mkdir()
    for seed in range(2):
        save_image(random_image(64, 48, seed), tmp_path / "photos" / f"{seed}.png", "{}")
    save_image(random_image(48, 48, 9).round(), tmp_path / "painting.png", "{}")
    command = [sys.executable, str(EXAMPLE), "painting.png", "photos", "painted.png", "12", "48"]
    told = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=600).stdout
    losses = [float(line.split()[1]) for line in told.splitlines()]
    assert len(losses) == 12 and sum(losses[-3:]) < sum(losses[:3])
    assert toolkit.open_image(tmp_path / "painted.png").shape == (1, 3, 64, 48)
    assert torch.load(tmp_path / "painted.pt", weights_only=True)
