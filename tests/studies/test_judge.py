"""Judging a picture by the images that it was made from."""

import pytest
import torch

from toolkit.errors import ToolkitError
from toolkit.studies.judge import judge
from toolkit.synthesis import Inputs, Objective, Recipe


def test_the_content_image_has_lost_no_content_and_has_none_of_the_style(tiny_network, random_image):
    content, style = random_image(48, 64), random_image(64, 48, seed=1)
    found = judge(tiny_network(), content, content, style)
    assert found.content == {"relu4_2": 0.0}
    assert found.style == {f"relu{block}_1": 1.0 for block in range(1, 6)}
    assert found.style_of_all == 1.0


def test_the_style_image_has_lost_all_content_and_no_style(tiny_network, random_image):
    content, style = random_image(48, 64), random_image(48, 64, seed=1)
    found = judge(tiny_network(), style, content, style)
    assert found.content["relu4_2"] == pytest.approx(1)
    assert max(found.style.values()) < 1e-6 and found.style_of_all < 1e-6


def test_shares_are_ratios_of_the_objectives_losses(tiny_network, random_image):
    network, recipe = tiny_network(), Recipe.preset("transfer", style_layers="relu1_1=3,relu3_1=1")
    picture, content, style = (random_image(48, 64, seed=seed) for seed in range(3))
    found = judge(network, picture, content, style, recipe)
    objective = Objective(network, recipe, Inputs(content, [style]))
    after, before = objective(picture).read().losses, objective(content).read().losses
    assert found.style["relu3_1"] == pytest.approx(after["style relu3_1"] / before["style relu3_1"])
    total, start = (3 * each["style relu1_1"] + each["style relu3_1"] for each in (after, before))
    assert found.style_of_all == pytest.approx(total / start)


def test_a_content_image_of_other_proportions_is_refused(tiny_network, random_image):
    with pytest.raises(ToolkitError, match="other proportions"):
        judge(tiny_network(), random_image(48, 64), random_image(64, 48), random_image())


def test_images_of_any_size_are_compared_at_the_pictures(tiny_network, random_image):
    large = torch.nn.functional.interpolate(random_image(24, 32), (96, 128), mode="bicubic").clamp(0, 1)
    found = judge(tiny_network(), large, random_image(24, 32), random_image(40, 30, seed=1))
    assert found.content["relu4_2"] < 0.1
