"""What a synthesis takes is decided once: fewer pairs first, then tiles, then a sentence."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.distributed import Ranks
from toolkit.errors import ToolkitError
from toolkit.synthesis import Inputs, Objective, Recipe, Synthesis, plan
from toolkit.synthesis.budget import FEWEST_PAIRS, LEAST_SHARE, PAIRS
from toolkit.synthesis.tiled import TiledObjective, cut

TRANSFER, ADAM = Recipe.preset("transfer"), Recipe.preset("transfer", optimizer="adam")
GIGABYTE = 10**9


@pytest.fixture(scope="module")
def network(tiny_network):
    """Of the published network's size."""
    return tiny_network(widths=(64, 128, 256, 512, 512))


def planned(network, recipe, height, width, memory=math.inf, styles=(), **options):
    """The plan of a result of that size; images without memory."""
    sizes = {"content": (height, width), "style": (8, 8)}
    content, style = (torch.zeros((), dtype=torch.uint8).expand(1, 3, *size) for size in sizes.values())
    inputs = Inputs(content, styles or [style])
    return plan(network, recipe.with_(size=max(height, width)), inputs, memory, **options)


def tiles_of(network, recipe, size, found):
    """Those that a plan's objective cuts a result of that size into."""
    path = network.architecture.down_to(set().union(*recipe.layer_weights))
    return cut(size, path, found.pixels, found.ranks.world_size)


@pytest.mark.parametrize("recipe", [TRANSFER, ADAM])
def test_with_endless_memory_images_are_whole(network, recipe):
    found = planned(network, recipe, 6000, 8000)
    assert (found.whole, found.pixels, found.pairs) == (True, math.inf, PAIRS)
    assert 6000 * 8000 * 4 * 3 < found.nbytes < math.inf


@settings(max_examples=60)
@given(
    height=st.integers(16, 5000),
    width=st.integers(16, 5000),
    memory=st.floats(4, 64).map(lambda gigabytes: gigabytes * GIGABYTE),
    recipe=st.sampled_from([TRANSFER, ADAM, Recipe.preset("texture"), Recipe.preset("reconstruction")]),
    ranks=st.integers(1, 3).map(lambda size: Ranks(0, size)),
)
@example(height=2693, width=3408, memory=4.0 * GIGABYTE, recipe=TRANSFER, ranks=Ranks(0, 1))
@example(height=4640, width=4640, memory=4.0 * GIGABYTE, recipe=ADAM, ranks=Ranks(0, 1))
def test_a_plan_keeps_within_the_memory(network, height, width, memory, recipe, ranks):
    try:
        found = planned(network, recipe, height, width, memory, ranks=ranks)
    except ToolkitError:
        assert recipe.optimizer == "lbfgs"
        return
    # What isn't features can leave less than their least share when it can't give way, as L-BFGS' pairs do.
    features = min(found.pixels, height * width) * network.bytes_of_a_pixel(set().union(*recipe.layer_weights))
    least = 0 if recipe.optimizer == "lbfgs" else found.nbytes + 1 - features + LEAST_SHARE * memory
    assert found.nbytes <= max(memory, least) and found.ranks == ranks
    assert FEWEST_PAIRS <= found.pairs <= PAIRS
    tiles = tiles_of(network, recipe, (height, width), found)
    assert all(len(tile.rows) * len(tile.columns) <= found.pixels for tile in tiles)


def test_less_memory_means_more_tiles_and_fewer_pairs_and_in_the_end_a_sentence(network):
    size = 3000, 4000
    plans = [planned(network, TRANSFER, *size, gigabytes * GIGABYTE) for gigabytes in (60, 20, 12, 8, 6)]
    tiles = [len(tiles_of(network, TRANSFER, size, each)) for each in plans]
    assert tiles == sorted(set(tiles)) and plans[0].whole and tiles[0] == 1
    pairs = [each.pairs for each in plans]
    assert pairs == sorted(pairs, reverse=True) and pairs[0] == PAIRS > pairs[-1] >= FEWEST_PAIRS
    with pytest.raises(ToolkitError) as error:
        planned(network, TRANSFER, *size, 2 * GIGABYTE)
    assert str(error.value) == (
        "4000 x 3000 pixels are too many for L-BFGS in 2.0 GB: use Adam, a smaller size, or more memory."
    )
    assert len(tiles_of(network, ADAM, size, planned(network, ADAM, *size, 2 * GIGABYTE))) > 1


@given(size=st.integers(128, 1024), gigabytes=st.floats(0.6, 4))
def test_images_for_a_screen_are_refused_in_no_memory(network, size, gigabytes):
    assert planned(network, TRANSFER, size * 3 // 4, size, gigabytes * GIGABYTE).pairs >= FEWEST_PAIRS


@pytest.mark.parametrize("pairs", [FEWEST_PAIRS, 12, PAIRS])
def test_pairs_take_half_of_the_memory_at_most_beside_eight_images(network, pairs):
    image = 3 * 500 * 400 * 4
    pair = image  # in bfloat16
    memory = 2 * (8 * image + pairs * pair)
    assert planned(network, TRANSFER, 500, 400, memory).pairs == pairs
    if pairs == FEWEST_PAIRS:
        with pytest.raises(ToolkitError, match="use Adam"):
            planned(network, TRANSFER, 500, 400, memory - 2 * pair)


def test_what_is_asked_for_is_counted(network):
    def nbytes(recipe=TRANSFER, size=(480, 640), **options):
        return planned(network, recipe, *size, **options).nbytes

    image = torch.zeros((), dtype=torch.uint8).expand(1, 3, 40, 50)
    assert nbytes(styles=[image, image]) == nbytes(styles=[image]) + 3 * 40 * 50
    assert nbytes(size=(960, 1280)) > 2 * nbytes() - nbytes(size=(16, 16))
    assert nbytes(ADAM) < nbytes()
    deeper = TRANSFER.with_(style_layers="relu1_1")
    assert nbytes(deeper.with_(content_layers="relu1_1")) < nbytes(deeper.with_(content_layers="relu1_1,relu2_1"))
    assert nbytes() > sum(parameter.nbytes for parameter in network.parameters())


def test_each_rank_has_a_tile_and_any_image_is_in_tiles_then(network, tiny_network, random_image):
    found = planned(network, TRANSFER, 1000, 1000, ranks=Ranks(1, 4))
    assert len(tiles_of(network, TRANSFER, (1000, 1000), found)) % 4 == 0 and not found.whole
    made = found.objective(tiny_network(), TRANSFER, Inputs(random_image(), [random_image()]))
    assert isinstance(made, TiledObjective)


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (TRANSFER, Objective),
        (TRANSFER.with_(style_scale=2), TiledObjective),
        (TRANSFER.with_(size=1600), TiledObjective),
        (Recipe.preset("texture", style_scale=2), TiledObjective),
        (Recipe.preset("amalgamation", style_scale=2), Objective),  # no style image is computed
    ],
)
def test_every_image_counts_of_those_that_are_computed(network, tiny_network, random_image, recipe, kind):
    """There is room for the default 512 pixels and not for twice as many."""
    inputs = Inputs(random_image(40, 50), [random_image(50, 40)])
    found = plan(network, recipe, inputs, 2.0 * GIGABYTE)
    assert found.whole == (kind is Objective)
    assert type(found.objective(tiny_network(), recipe, inputs)) is kind


@pytest.mark.parametrize("fields", [{"style_statistic": "sliced"}, {"seamless": True, "synthesis": "texture"}])
def test_what_cannot_be_cut_into_tiles_is_refused_where_they_would_be_needed(network, fields):
    recipe = ADAM.with_(**fields, **({"content_layers": {}} if "seamless" in fields else {}))
    assert planned(network, recipe, 512, 512, 4 * GIGABYTE).whole
    for options in ({"memory": 2 * GIGABYTE}, {"ranks": Ranks(0, 2)}):
        with pytest.raises(ToolkitError, match="without tiles or processes"):
            planned(network, recipe, 4096, 4096, **options)


def test_a_synthesis_in_little_memory_is_that_in_much(tiny_network, random_image):
    recipe = Recipe.preset("transfer", size=120, iterations=2, precision="float32")
    recipe = recipe.with_(style_layers="relu1_1,relu2_1", content_layers="relu2_2")
    images = {"content": random_image(60, 80), "styles": [random_image(seed=1)]}
    results = []
    for memory in (3.6e6, None):
        synthesis = Synthesis(tiny_network(), recipe, **images, memory=memory)
        results.append([progress.objective for progress in synthesis])
    assert not plan(tiny_network(), recipe, Inputs(**images), 3.6e6).whole
    assert results[0] == pytest.approx(results[1], rel=1e-4)
