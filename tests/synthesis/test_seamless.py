"""Seamless textures: opposite edges meet, everywhere in the network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.export import OnnxObjective
from toolkit.network import load_network
from toolkit.synthesis import Inputs, Objective, Recipe, Synthesis
from toolkit.synthesis.image_losses import TotalVariation
from toolkit.synthesis.pyramid import size_of
from toolkit.synthesis.tiled import TiledObjective


@settings(max_examples=20)
@given(
    statistic=st.sampled_from(["gram", "moments", "wasserstein"]),
    pooling=st.sampled_from(["average", "max"]),
    rows=st.integers(0, 3),
    columns=st.integers(0, 3),
)
def test_rolling_the_image_rolls_the_gradient(tiny_network, random_image, statistic, pooling, rows, columns):
    recipe = Recipe.preset("texture", seamless=True, style_statistic=statistic, total_variation_weight=3)
    network = tiny_network(pooling=pooling).double()
    objective = Objective(network, recipe, Inputs(styles=[random_image(40, 50).double()]))
    image = random_image(64, 64, seed=1).double()
    shift = {"shifts": (16 * rows, 16 * columns), "dims": (2, 3)}  # by positions of relu5_1
    plain, rolled = objective(image), objective(image.roll(**shift))
    assert rolled.losses == pytest.approx(plain.read().losses, rel=1e-10)
    torch.testing.assert_close(rolled.gradient, plain.gradient.roll(**shift), rtol=1e-8, atol=1e-14)


@given(st.integers(1, 6), st.integers(1, 6))
def test_a_seamless_total_variation_has_autograds_gradient(height, width):
    image = torch.rand(1, 3, height, width, dtype=torch.float64, requires_grad=True)
    expected = sum((image - image.roll(1, axis)).square().mean() for axis in (2, 3))
    (gradient,) = torch.autograd.grad(5 * expected, image)
    value, found = TotalVariation(5.0, seamless=True)(image.detach())
    torch.testing.assert_close((value, found), (expected.detach(), gradient))


def across_the_seam(image, axis):
    """How far pixels differ from their neighbours across the edge, as a share of what neighbours differ elsewhere."""
    differences = (image - image.roll(1, axis)).abs()
    return float(differences.select(axis, 0).mean() / differences.mean())


def test_a_texture_tiles_without_a_seam(random_image):
    blobs = torch.nn.functional.interpolate(random_image(5, 5, seed=3), (96, 96), mode="bicubic").clamp(0, 1)
    recipe = Recipe.preset("texture", size=64, iterations=30, style_layers="relu1_1,relu2_1,relu3_1")
    for seamless in (True, False):
        synthesis = Synthesis(load_network("vgg19-small"), recipe.with_(seamless=seamless), styles=[blobs])
        for _ in synthesis:
            pass
        for axis in (2, 3):
            assert (across_the_seam(synthesis.image, axis) < 1.3) == seamless


@pytest.mark.parametrize(("longest", "size"), [(512, (384, 512)), (500, (384, 512)), (16, (32, 32)), (70, (64, 64))])
def test_sides_are_multiples_of_the_deepest_stride(longest, size):
    assert size_of((300, 400), longest, seamless=True) == size


def test_only_a_texture_can_be_seamless():
    for fields in ({"synthesis": "transfer"}, {"synthesis": "texture", "content_layers": "relu4_2"}):
        with pytest.raises(ToolkitError, match="Only a texture can be seamless"):
            Recipe.checked({"style_layers": "relu1_1", **fields, "seamless": True})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [(TiledObjective, "A seamless texture is computed whole"), (OnnxObjective, "has no seamless textures")],
)
def test_where_it_cannot_be_had_it_is_refused(tiny_network, random_image, make, sentence):
    with pytest.raises(ToolkitError, match=sentence):
        make(tiny_network(), Recipe.preset("texture", seamless=True), Inputs(styles=[random_image()]))
