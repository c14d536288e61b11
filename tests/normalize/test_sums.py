"""Sums of activations give the means and how sure these are, in whatever parts they were added up."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.normalize.sums import ActivationSums

LAYER = "conv1_1"


def sums(images, positions):
    total = ActivationSums()
    for each, count in zip(images, positions, strict=True):
        total.add(LAYER, each[None] * count, count)
    return total


@given(st.integers(2, 30), st.integers(0, 100))
def test_for_images_of_one_size_the_error_is_that_of_a_mean(images, seed):
    means = torch.rand(images, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    means[:, 3] = 0  # a filter that never fires
    total = sums(means, [50] * images)
    torch.testing.assert_close(total.means()[LAYER], means.mean(0))
    expected = (means.std(0) / images**0.5 / means.mean(0))[[0, 1, 2, 4, 5, 6]].median()
    assert total.standard_errors()[LAYER] == pytest.approx(float(expected))


def test_for_images_of_many_sizes_it_is_what_sets_of_them_spread():
    draw = torch.Generator().manual_seed(0)
    population = torch.rand(500, 5, generator=draw, dtype=torch.float64) + 1
    positions = torch.randint(10, 400, (500,), generator=draw)
    population += positions[:, None] / 400  # larger images differ
    found, errors = [], []
    for _ in range(300):
        chosen = torch.randint(500, (60,), generator=draw)
        total = sums(population[chosen], positions[chosen].tolist())
        found.append(total.means()[LAYER])
        errors.append(total.standard_errors()[LAYER])
    spread = torch.stack(found).std(0) / torch.stack(found).mean(0)
    assert sum(errors) / len(errors) == pytest.approx(float(spread.median()), rel=0.1)


@given(st.integers(1, 9))
def test_parts_add_up_to_the_whole(cut):
    means = torch.rand(10, 4, generator=torch.Generator().manual_seed(cut), dtype=torch.float64)
    positions = list(range(10, 20))
    whole = sums(means, positions)
    both = sums(means[:cut], positions[:cut]) + sums(means[cut:], positions[cut:])
    torch.testing.assert_close(both.sums[LAYER], whole.sums[LAYER])
    assert both.counts == whole.counts and whole.positions == {LAYER: sum(positions)}


def test_one_image_tells_no_error_and_none_no_mean():
    assert sums(torch.ones(1, 4, dtype=torch.float64), [9]).standard_errors() == {}
    with pytest.raises(ToolkitError, match="No image could be read"):
        ActivationSums().means()
