"""Tiles cover an image once, and losses and gradient over them are those of the whole image."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.network import Architecture
from toolkit.synthesis import Recipe
from toolkit.synthesis.objective import Objective
from toolkit.synthesis.tiles import cut, pixels_within, reach, strides

PATH = Architecture("vgg19").down_to(["relu4_1"])


@settings(deadline=None)
@given(st.integers(16, 200), st.integers(16, 200), st.integers(1, 30_000), st.integers(1, 4))
def test_cores_cover_every_position_of_every_layer_once(height, width, pixels, ranks):
    for layer, stride in strides(PATH).items():
        size = height // stride, width // stride
        seen = torch.zeros(size, dtype=torch.int)
        for tile in cut((height, width), PATH, pixels, ranks):
            (inner_rows, inner_columns), (rows, columns) = tile.core(stride, size)
            seen[rows, columns] += 1
            rows_seen, columns_seen = ((span.stop - span.start) // stride for span in (tile.rows, tile.columns))
            assert 0 <= inner_rows.start <= inner_rows.stop <= rows_seen, layer
            assert 0 <= inner_columns.start <= inner_columns.stop <= columns_seen
            assert inner_rows.stop - inner_rows.start == rows.stop - rows.start
        assert (seen == 1).all()


@settings(deadline=None)
@given(st.integers(16, 4000), st.integers(16, 4000), st.integers(20_000, 10**7))
def test_no_tile_sees_more_than_it_may(height, width, pixels):
    tiles = cut((height, width), PATH, pixels)
    assert max(len(tile.rows) * len(tile.columns) for tile in tiles) <= pixels
    if height * width <= pixels:
        assert len(tiles) == 1


def test_tiles_are_as_wide_or_as_many_as_computes_least():
    halo = 32  # what relu4_1 reaches, rounded up to whole cells

    def windows(*arguments):
        return [(len(tile.rows), len(tile.columns)) for tile in cut(arguments[0], PATH, *arguments[1:])]

    assert windows((256, 2048), 256 * (1024 + halo)) == 2 * [(256, 1024 + halo)]  # in two rather than in squares
    assert windows((1024, 1024), (512 + halo) ** 2) == 4 * [(512 + halo, 512 + halo)]
    assert windows((256, 512), 10**9, 2) == 2 * [(256, 256 + halo)]  # one for each process
    assert len(cut((64, 64), PATH, 1)) == 8 * 8  # one position each, if need be


@pytest.mark.parametrize("deepest", ["relu1_2", "relu2_1", "relu3_2", "relu4_1"])
def test_no_position_sees_further_than_the_reach(tiny_network, random_image, deepest):
    network = tiny_network("vgg16", widths=(8,) * 5).double()
    path = network.architecture.down_to([deepest])
    stride = strides(path)[deepest]
    with torch.enable_grad():
        image = random_image(160, 160).double().requires_grad_()
        at = 160 // stride // 2
        network(image, [deepest])[deepest][..., at, at].sum().backward()
    touched = image.grad[0].abs().sum((0, 1)).nonzero()
    assert at * stride - reach(path) <= touched.min()
    assert touched.max() < (at + 1) * stride + reach(path)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (83, 65), (128, 33)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "layers",
    [
        ({"relu4_2": 1.0}, {f"relu{block}_1": 0.2 for block in range(1, 6)}),
        ({"conv2_2": 1.0, "pool2": 0.5}, {"relu2_2": 1.0}),
    ],
)
def test_tiles_give_the_whole_images_gradient(tiny_network, random_image, pooling, height, width, masked, layers):
    network = tiny_network(pooling=pooling).double()
    recipe = Recipe.preset("transfer", content_layers=layers[0], style_layers=layers[1])
    image, content, *styles = (random_image(height, width, seed=seed).double() for seed in range(4))
    styles[0] = styles[0][..., :50, :]
    masks = [torch.rand(1, 1, height, width, dtype=torch.float64) for _ in styles] if masked else []
    whole = Objective(network, recipe, content, styles, masks)(image)
    tiled = Objective(network, recipe, content, styles, masks, memory=1)
    assert len(tiled._tiles(image)) > 5
    found = tiled(image)
    assert found.losses == pytest.approx(whole.losses, rel=1e-9)
    torch.testing.assert_close(found.gradient, whole.gradient, rtol=1e-6, atol=1e-7 * whole.gradient.abs().max().item())


def test_memory_decides_how_large_tiles_are():
    assert pixels_within(None, PATH, 4) > 10**9
    small, large, half = (pixels_within(n, PATH, size) for n, size in ((10**8, 4), (10**9, 4), (10**9, 2)))
    assert (large, half) == pytest.approx((10 * small, 20 * small))
