"""Coarse to fine: which stages there are, what they start from, and in which arithmetic."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.pictures.io import resize
from toolkit.synthesis import PRESETS, Inputs, Recipe
from toolkit.synthesis.pyramid import (
    FINISHED_SHARES,
    ITERATION_SHARES,
    enlarged,
    size_of,
    stages,
    start_image,
)

SIDES = st.integers(1, 300)


def sizes(found):
    """Of the levels: a level may have two stages."""
    return [size for size, _ in itertools.groupby(stage.size for stage in found)]


@given(
    height=SIDES,
    width=SIDES,
    size=st.integers(16, 5000),
    levels=st.integers(1, 6),
    coarsest=st.integers(16, 400),
    finish=st.sampled_from([0.0, 1.0]),
    iterations=st.integers(1, 1000),
    precision=st.sampled_from(["float32", "bfloat16", "mixed"]),
    synthesis=st.sampled_from(["transfer", "texture", "reconstruction"]),
    native=st.booleans(),
)
def test_stages_share_all_iterations_and_their_sizes_grow_twofold(
    height, width, size, levels, coarsest, finish, iterations, precision, synthesis, native
):
    fields = {"size": size, "levels": levels, "coarsest": coarsest, "finish": finish, "iterations": iterations}
    recipe = Recipe.preset(synthesis, **fields, precision=precision)
    image = (height, width)
    found = stages(recipe, image, native)
    assert sum(stage.iterations for stage in found) == iterations
    assert all(stage.iterations > 0 for stage in found)
    levels_found = sizes(found)
    assert levels_found[-1] == size_of(image, size) and 1 <= len(levels_found) <= levels
    for back, level in enumerate(reversed(levels_found)):
        assert level == size_of(image, size >> back)
        if back:
            assert max(level) >= coarsest and min(level) >= 32
    finishes = [stage.with_finish for stage in found]
    assert finishes == sorted(finishes) and (not any(finishes) or (finish > 0 and synthesis != "reconstruction"))


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((160, 4000), 4000, [(40, 1000), (80, 2000), (160, 4000)]),
        ((4000, 160), 4000, [(1000, 40), (2000, 80), (4000, 160)]),
        ((30, 40), 512, [(96, 128), (192, 256), (384, 512)]),
        ((30, 40), 191, [(143, 191)]),
        ((30, 40), 8192, [(192, 256), (384, 512), (768, 1024), (1536, 2048), (3072, 4096), (6144, 8192)]),
    ],
)
def test_no_coarse_level_is_too_small_to_hold_a_form(shape, size, expected):
    assert sizes(stages(Recipe.preset("transfer", size=size), shape, True)) == expected


def test_a_recipe_from_before_the_finish_has_the_stages_that_it_had():
    before = Recipe.checked({"synthesis": "transfer", "style_layers": "relu1_1", "size": 1024, "iterations": 60})
    assert [(max(stage.size), stage.iterations, stage.with_finish) for stage in stages(before, (30, 40), False)] == [
        *[(256, 24, False), (512, 18, False), (1024, 18, False)]
    ]


@pytest.mark.parametrize(
    ("size", "fields", "expected"),
    [
        (512, {}, [(128, 32, False), (256, 20, False), *[(512, 8, True)] * 3]),
        (256, {}, [(128, 46, False), (256, 7, True), (256, 8, True), (256, 7, True), (256, 8, True)]),
        (512, {"levels": 1}, [(512, 53, False), (512, 7, True), *[(512, 8, True)] * 2]),
        (1024, {}, [(128, 23, False), (256, 23, False), (512, 9, True), (512, 10, True), (1024, 11, True)]),
    ],
)
def test_the_finish_follows_when_the_forms_are_there(size, fields, expected):
    found = stages(Recipe.preset("transfer", size=size, **fields), (30, 40), False)
    assert [(max(stage.size), stage.iterations, stage.with_finish) for stage in found] == expected


def test_shares_are_of_the_whole():
    for table in (ITERATION_SHARES, FINISHED_SHARES):
        assert all(len(shares) == levels and sum(shares) == pytest.approx(1) for levels, shares in table.items())


@pytest.mark.parametrize("synthesis", PRESETS)
@pytest.mark.parametrize("native", [False, True])
def test_mixed_precision_is_for_transfers_where_bfloat16_is_native(synthesis, native):
    recipe = Recipe.preset(synthesis, size=1024, levels=3, iterations=100, finish=0.0)
    found = stages(recipe, (30, 40), native)
    if synthesis == "transfer" and native:
        assert [(stage.precision, stage.iterations) for stage in found] == [
            *[("bfloat16", 40), ("bfloat16", 30), ("bfloat16", 25), ("float32", 5)]
        ]
        assert found[-1].size == found[-2].size == (768, 1024)
    else:
        assert [(stage.precision, stage.iterations) for stage in found] == [
            *[("float32", 40), ("float32", 30), ("float32", 30)]
        ]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("native", [False, True])
def test_a_precision_of_ones_own_holds_for_every_stage(precision, native):
    found = stages(Recipe.preset("transfer", size=1024, precision=precision), (30, 40), native)
    assert {stage.precision for stage in found} == {precision}


@pytest.mark.parametrize("iterations", [1, 2, 6])
def test_a_mixed_transfer_ends_in_float32_however_short(iterations):
    found = stages(Recipe.preset("transfer", size=300, iterations=iterations), (30, 40), True)
    assert found[-1].precision == "float32" and sum(stage.iterations for stage in found) == iterations


@given(SIDES, SIDES, st.integers(16, 4096))
def test_a_size_has_the_images_proportions(height, width, longest):
    size = size_of((height, width), longest)
    assert max(size) == longest and min(size) >= 1
    shorter = longest * min(height, width) / max(height, width)
    assert abs(min(size) - max(1, shorter)) <= 0.5
    assert (size[0] >= size[1]) == (height >= width) or size[0] == size[1]


def test_each_start_is_what_it_says(random_image):
    content, style, own = (random_image(30, 40, seed=seed) for seed in range(3))

    def start(word, seed=0, styles=(style,)):
        recipe = Recipe.preset("transfer", start=word, seed=seed)
        return start_image(recipe, (30, 40), Inputs(content, styles, own))

    assert torch.equal(start("content"), content)
    assert torch.equal(start("style"), style)
    assert torch.equal(start("image"), own)
    assert torch.equal(start("style", styles=[random_image(40, 40)]), random_image(40, 40)[..., 5:35, :])
    assert (start("grey") == 0.5).all()
    noise = start("noise", 1)
    assert noise.mean() == pytest.approx(0.5, abs=0.005) and noise.std() == pytest.approx(0.1 * 12**-0.5, rel=0.05)
    assert torch.equal(noise, start("noise", 1)) and not torch.equal(noise, start("noise", 2))


@pytest.mark.parametrize(("start", "word"), [("content", "content"), ("style", "style"), ("image", "start")])
def test_a_start_that_is_not_there_is_told(start, word):
    with pytest.raises(ToolkitError, match=f"The recipe starts from the {word} image, but there is none: name it."):
        start_image(Recipe.preset("transfer", start=start), (30, 40), Inputs())


def test_an_enlarged_image_has_the_detail_of_the_start_beyond_the_level_before(random_image):
    coarse, start = random_image(30, 40, seed=1), 0.4 + 0.2 * random_image(60, 80, seed=2)
    before = coarse.clone(), start.clone()
    found = enlarged(coarse, start)
    expected = resize(coarse, (60, 80)) + start - resize(resize(start, (30, 40)), (60, 80))
    torch.testing.assert_close(found, expected.clamp(0, 1), rtol=0, atol=1e-6)
    assert torch.equal(coarse, before[0]) and torch.equal(start, before[1])


def test_an_enlarged_image_that_has_not_changed_is_the_start(random_image):
    start = random_image(60, 80)
    torch.testing.assert_close(enlarged(resize(start, (30, 40)), start), start, rtol=0, atol=1e-6)
