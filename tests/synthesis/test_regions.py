"""Suggested regions: clusters of features, and the parts of the style images that they answer to."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.network import load_network
from toolkit.pictures.io import open_image
from toolkit.synthesis import suggest_regions
from toolkit.synthesis.regions import guided, k_means


def stripes(height, width, period, across):
    """Black and white stripes, (1, 3, height, width)."""
    along = torch.arange(width if across else height)
    line = (along // period % 2).float()
    return (line if across else line[:, None]).expand(1, 3, height, width)


def beside(left, right):
    return torch.cat([left, right], 3)


FINE, COARSE = stripes(96, 64, 2, True), stripes(96, 64, 12, False)


@pytest.fixture(scope="module")
def network():
    return load_network("vgg19-small")


@given(st.integers(2, 4), st.integers(0, 1000), st.integers(0, 5))
def test_clusters_far_apart_are_found(count, seed, runs):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(count, (60,), generator=generator)
    truth[:count] = torch.arange(count)
    places = 100 * torch.eye(4)[:count]
    labels, centres = k_means(places[truth] + torch.rand(60, 4, generator=generator), count, runs)
    assert len(centres) == count
    assert ((truth[:, None] == truth) == (labels[:, None] == labels)).all()
    torch.testing.assert_close(centres[labels], places[truth] + 0.5, rtol=0, atol=0.5)


def test_fewer_different_points_than_clusters_make_fewer_clusters():
    labels, centres = k_means(torch.tensor([[1.0], [1.0], [5.0]]), 3)
    assert sorted(centres[:, 0].tolist()) == [1, 5] and labels[0] == labels[1] != labels[2]


def test_masks_follow_the_edges_of_the_picture():
    picture = torch.zeros(1, 1, 40, 60)
    picture[..., 30:] = 1
    mask = torch.zeros(1, 1, 40, 60)
    mask[..., 34:] = 1  # four pixels too far
    row = guided(mask, picture, 8, 1e-4)[0, 0, 20]
    assert row[29] < 0.01 and row[30] > 0.4


@pytest.mark.parametrize("seed", [0, 1])
def test_each_region_answers_to_the_part_that_looks_alike(network, seed):
    content, style = beside(FINE, COARSE), beside(COARSE, FINE)
    regions = suggest_regions(network, content, [style], 2, seed)
    torch.testing.assert_close(sum(region.mask for region in regions), torch.ones(1, 1, 240, 320))
    assert [region.style for region in regions] == [0, 0]
    for region in regions:
        left = float(region.mask[..., :130].mean())
        assert min(left, 1 - left) < 0.05
        torch.testing.assert_close(region.mask[..., 190:].mean(), torch.tensor(1 - left), atol=0.1, rtol=0)
        # What is left in the content is right in the style.
        assert abs(float(region.part[..., 190:].mean()) - left) < 0.1


def test_every_style_image_is_used_where_it_fits(network):
    first, second = suggest_regions(network, beside(FINE, COARSE), [COARSE, FINE], 2)
    left = first if first.mask[..., :100].mean() > 0.5 else second
    assert left.style == 1 and {first.style, second.style} == {0, 1}
    assert left.part.shape == (1, 1, 320, 213)


def test_the_same_seed_suggests_the_same(network):
    images = [torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    twice = [suggest_regions(network, images[0], images[1:], 3, seed=4) for _ in range(2)]
    for one, other in zip(*twice, strict=True):
        assert one.style == other.style and torch.equal(one.mask, other.mask) and torch.equal(one.part, other.part)


def test_an_image_of_one_colour_is_one_region_or_its_borders(network):
    """The network sees the border, where it is padded."""
    grey = torch.full((1, 3, 64, 64), 0.5)
    regions = suggest_regions(network, grey, [grey], 4)
    torch.testing.assert_close(sum(region.mask for region in regions), torch.ones(1, 1, 320, 320))


def test_more_style_images_than_regions_are_refused(network):
    with pytest.raises(ToolkitError, match="2 regions are too few for 3 style images: ask for one for each"):
        suggest_regions(network, FINE, [FINE] * 3, 2)


def test_a_town_under_its_sky_takes_the_ground_and_the_sky_of_a_painting(network, shared_data):
    town, night = (open_image(shared_data / "images" / name) for name in ("tubingen.jpg", "starry_night.jpg"))
    sky, ground = sorted(suggest_regions(network, town, [night]), key=lambda region: -float(region.mask[..., 20, 150]))
    assert sky.mask[..., 20, 150] > 0.9 and ground.mask[..., 200:, :].mean() > 0.9
    assert sky.part[..., 80, 180] > 0.5 and ground.part[..., 180:, :].mean() > 0.8
