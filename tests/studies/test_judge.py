"""Judging a picture by the images that it was made from."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.studies.judge import distances, judge, structure_distance
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


@pytest.mark.parametrize("at_once", [1024, 7])
def test_distances_are_those_of_a_brute_force_search(tiny_network, random_image, monkeypatch, at_once):
    monkeypatch.setattr("toolkit.studies.judge.AT_ONCE", at_once)
    network, layers = tiny_network(), {"relu2_1": 0.5, "relu3_1": 1.0}
    picture, painting = random_image(48, 64), random_image(40, 56, seed=1)

    def vectors(image):
        features = network(image, list(layers))
        fine = torch.nn.functional.avg_pool2d(features["relu2_1"], 2)
        parts = [(fine, 0.5), (features["relu3_1"], 1.0)]
        joined = torch.cat([own[0] * (weight / own.shape[1]) ** 0.5 for own, weight in parts]).flatten(1).mT
        return joined - joined.mean(0)

    cosines = torch.nn.functional.cosine_similarity(vectors(picture)[:, None], vectors(painting)[None], dim=-1)
    expected = (1 - cosines.amax(1).mean(), 1 - cosines.amax(0).mean())
    assert distances(network, picture, painting, layers) == pytest.approx(
        [float(value) for value in expected], rel=1e-4
    )


def test_the_style_image_invents_nothing_and_a_finer_picture_has_more_grain(tiny_network, random_image):
    style = torch.nn.functional.interpolate(random_image(12, 16, seed=1), (48, 64), mode="bicubic").clamp(0, 1)
    content = random_image(48, 64)
    of_the_style, of_noise = (judge(tiny_network(), picture, content, style) for picture in (style, content))
    assert of_the_style.invention == pytest.approx(0, abs=1e-5) == of_the_style.coverage
    assert of_the_style.grain == pytest.approx(1) and of_noise.grain > 10


def test_a_content_image_of_other_proportions_is_refused(tiny_network, random_image):
    with pytest.raises(ToolkitError, match="other proportions"):
        judge(tiny_network(), random_image(48, 64), random_image(64, 48), random_image())


def test_a_style_image_of_plain_colour_is_refused(tiny_network, random_image):
    with pytest.raises(ToolkitError, match="The style image has no fine detail to compare with"):
        judge(tiny_network(), random_image(48, 64), random_image(48, 64), torch.full((1, 3, 48, 64), 0.3))


def test_images_of_any_size_are_compared_at_the_pictures(tiny_network, random_image):
    large = torch.nn.functional.interpolate(random_image(24, 32), (96, 128), mode="bicubic").clamp(0, 1)
    found = judge(tiny_network(), large, random_image(24, 32), random_image(40, 30, seed=1))
    assert found.content["relu4_2"] < 0.1


@given(seed=st.integers(0, 100), channels=st.integers(1, 8))
def test_the_structure_distance_is_the_published_one_a_position(seed, channels):
    ours, theirs = torch.randn(2, 1, channels, 5, 7, generator=torch.Generator().manual_seed(seed)).relu()
    products = (torch.einsum("chw,cij->hwij", own[0], own[0]).reshape(35, 35) / channels**2 for own in (ours, theirs))
    log, expected = (product.double().softmax(1) for product in products)
    published = (expected * (expected / log).log()).sum()
    assert structure_distance(ours, theirs) * 35 == pytest.approx(float(published), rel=1e-5, abs=1e-9)


def test_photograph_painting_and_noise_get_the_values_that_they_should(tiny_network, random_image):
    smooth = torch.nn.functional.interpolate(random_image(12, 16, seed=1), (48, 64), mode="bicubic").clamp(0, 1)
    photograph, painting = random_image(48, 64, seed=2), smooth
    of_photograph, of_painting, of_noise = (
        judge(tiny_network(), picture, photograph, painting)
        for picture in (photograph, painting, random_image(48, 64, seed=3))
    )
    assert of_photograph.structure == 0 and of_painting.structure == 1 and of_noise.structure > 0
    assert set(of_photograph.frechet.values()) == {1.0}
    assert max(of_painting.frechet.values()) < 1e-3 < min(of_noise.frechet.values())
