"""What a synthesis takes is decided once: fewer pairs first, then tiles, then a sentence."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.distributed import Ranks
from toolkit.errors import ToolkitError
from toolkit.synthesis import Objective, Plan, Recipe, Synthesis, plan
from toolkit.synthesis.budget import FEWEST_PAIRS, PAIRS
from toolkit.synthesis.tiled import TiledObjective, cut

TRANSFER, ADAM = Recipe.preset("transfer"), Recipe.preset("transfer", optimizer="adam")
GIGABYTE = 10**9


@pytest.fixture(scope="module")
def network(tiny_network):
    """Of the published network's size."""
    return tiny_network(widths=(64, 128, 256, 512, 512))


@pytest.mark.parametrize("recipe", [TRANSFER, ADAM])
def test_with_endless_memory_images_are_whole(network, recipe):
    found = plan(network, recipe, (6000, 8000))
    assert (found.tiles, found.pixels, found.pairs) == (1, math.inf, PAIRS)
    assert 6000 * 8000 * 4 * 3 < found.nbytes < math.inf


@settings(max_examples=60)
@given(
    height=st.integers(16, 5000),
    width=st.integers(16, 5000),
    memory=st.floats(4, 64).map(lambda gigabytes: gigabytes * GIGABYTE),
    recipe=st.sampled_from([TRANSFER, ADAM, Recipe.preset("texture"), Recipe.preset("reconstruction")]),
    ranks=st.integers(1, 3).map(lambda size: Ranks(0, size)),
)
def test_a_plan_keeps_within_the_memory(network, height, width, memory, recipe, ranks):
    try:
        found = plan(network, recipe, (height, width), memory, ranks=ranks)
    except ToolkitError:
        assert recipe.optimizer == "lbfgs"
        return
    assert found.nbytes <= memory and found.ranks == ranks
    assert FEWEST_PAIRS <= found.pairs <= PAIRS
    content_layers, style_layers = recipe.layer_weights
    path = network.architecture.down_to({*content_layers, *style_layers})
    tiles = cut((height, width), path, found.pixels, ranks.world_size)
    assert len(tiles) == found.tiles
    assert all(len(tile.rows) * len(tile.columns) <= found.pixels for tile in tiles)


def test_less_memory_means_more_tiles_and_fewer_pairs_and_in_the_end_a_sentence(network):
    frame = 3000, 4000
    plans = [plan(network, TRANSFER, frame, gigabytes * GIGABYTE) for gigabytes in (60, 20, 12, 8, 6)]
    assert [each.tiles for each in plans] == sorted({each.tiles for each in plans}) and plans[0].tiles == 1
    pairs = [each.pairs for each in plans]
    assert pairs == sorted(pairs, reverse=True) and pairs[0] == PAIRS > pairs[-1] >= FEWEST_PAIRS
    with pytest.raises(ToolkitError) as error:
        plan(network, TRANSFER, frame, 2 * GIGABYTE)
    assert str(error.value) == (
        "4000 x 3000 pixels are too many for L-BFGS in 2.0 GB: "
        "use --optimizer adam, a smaller --size, or a larger --memory."
    )
    assert plan(network, ADAM, frame, 2 * GIGABYTE).tiles > 1


@pytest.mark.parametrize("pairs", [FEWEST_PAIRS, 12, PAIRS])
def test_pairs_take_half_of_the_memory_at_most_beside_eight_images(network, pairs):
    image = 3 * 500 * 400 * 4
    pair = image  # in bfloat16
    memory = 2 * (8 * image + pairs * pair)
    assert plan(network, TRANSFER, (500, 400), memory).pairs == pairs
    if pairs == FEWEST_PAIRS:
        with pytest.raises(ToolkitError, match="use --optimizer adam"):
            plan(network, TRANSFER, (500, 400), memory - 2 * pair)


def test_what_is_asked_for_is_counted(network):
    def nbytes(recipe=TRANSFER, frame=(480, 640), **options):
        return plan(network, recipe, frame, **options).nbytes

    assert nbytes(given=12345) == nbytes() + 12345
    assert nbytes(frame=(960, 1280)) > 2 * nbytes() - plan(network, TRANSFER, (16, 16)).nbytes
    assert nbytes(ADAM) < nbytes()
    deeper = TRANSFER.with_(style_layers="relu1_1")
    assert nbytes(deeper.with_(content_layers="relu1_1")) < nbytes(deeper.with_(content_layers="relu1_1,relu2_1"))
    assert nbytes() > sum(parameter.nbytes for parameter in network.parameters())


def test_each_rank_has_a_tile_and_any_image_is_in_tiles_then(network, tiny_network, random_image):
    found = plan(network, TRANSFER, (1000, 1000), ranks=Ranks(1, 4))
    assert found.tiles % 4 == 0
    made = found.objective(tiny_network(), TRANSFER, random_image(), [random_image()])
    assert isinstance(made, TiledObjective)


@pytest.mark.parametrize(
    ("recipe", "content", "style", "kind"),
    [
        (TRANSFER, (40, 50), (50, 40), Objective),
        (TRANSFER, (40, 51), (50, 40), TiledObjective),
        (TRANSFER, (40, 50), (50, 41), TiledObjective),
        (Recipe.preset("reconstruction"), (40, 50), None, Objective),
        (Recipe.preset("texture"), None, (40, 51), TiledObjective),
    ],
)
def test_every_image_counts_of_those_that_are_computed(tiny_network, random_image, recipe, content, style, kind):
    found = Plan(tiles=1, pixels=2000, pairs=5, nbytes=0)
    images = None if content is None else random_image(*content), [] if style is None else [random_image(*style)]
    assert type(found.objective(tiny_network(), recipe, *images)) is kind


def test_a_texture_larger_than_its_style_is_in_tiles_too(tiny_network, random_image):
    """Its size is not among the images that an objective is made from."""
    recipe = Recipe.preset("texture", size=400, style_scale=0.25, iterations=1, levels=1)
    found, made = Plan(tiles=9, pixels=20_000, pairs=5, nbytes=0), []

    def make(*arguments):
        made.append(found.objective(*arguments))
        return made[-1]

    Synthesis(tiny_network(), recipe, styles=[random_image(80, 80)], objective=make)
    assert isinstance(made[0], TiledObjective)


def test_a_synthesis_by_a_narrow_plan_is_that_of_a_wide_one(tiny_network, random_image):
    recipe = Recipe.preset("transfer", size=120, iterations=2, precision="float32", style_layers="relu1_1,relu2_1")
    recipe, results = recipe.with_(content_layers="relu2_2"), []
    narrow, wide = (Plan(tiles, pixels, pairs=5, nbytes=0) for tiles, pixels in ((4, 3_000), (1, math.inf)))
    for each in (narrow, wide):
        images = {"content": random_image(60, 80), "styles": [random_image(seed=1)]}
        synthesis = Synthesis(tiny_network(), recipe, **images, objective=each.objective, pairs=each.pairs)
        results.append([progress.objective for progress in synthesis])
    assert results[0] == pytest.approx(results[1], rel=1e-4)
