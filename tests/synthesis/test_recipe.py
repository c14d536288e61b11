"""Recipes: validated, serialisable, and kept inside pictures."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.images.io import read_recipe, save_png
from toolkit.synthesis import PRESETS, Recipe

RECIPES = st.builds(
    lambda synthesis, **wishes: Recipe.preset(synthesis, **wishes),
    st.sampled_from(list(PRESETS)),
    style_weight=st.floats(1e-6, 1e6),
    content_weight=st.floats(1e-6, 1e6),
    size=st.integers(16, 4096),
    evaluations=st.integers(1, 1000),
    seed=st.integers(0, 2**62),
    optimizer=st.sampled_from(["lbfgs", "adam"]),
    formula=st.sampled_from(["mean", "paper"]),
)


@given(RECIPES)
def test_a_recipe_survives_json(recipe):
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_recipe_survives_a_png(tmp_path):
    recipe = Recipe.preset("transfer", style_layers={"relu3_1": 0.1 + 0.2}, size=77)
    save_png(torch.rand(1, 3, 4, 4), tmp_path / "a.png", recipe.to_json())
    assert Recipe.from_json(read_recipe(tmp_path / "a.png")) == recipe


def test_the_four_syntheses_differ_in_losses_and_start():
    facts = {
        name: (bool(r.content_layers), bool(r.style_layers), r.start) for name in PRESETS if (r := Recipe.preset(name))
    }
    assert facts == {
        "transfer": (True, True, "content"),
        "reconstruction": (True, False, "noise"),
        "texture": (False, True, "noise"),
        "amalgamation": (True, False, "style"),
    }


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"size": 3}, "The recipe is not valid: size: Input should be greater than or equal to 16."),
        ({"evaluations": 0}, "The recipe is not valid: evaluations: Input should be greater than or equal to 1."),
        ({"colours": "red"}, "The recipe is not valid: colours: Extra inputs are not permitted."),
        ({"style_weight": -1}, "The recipe is not valid: style_weight: Input should be greater than or equal to 0."),
        ({"style_weight": float("nan")}, "The recipe is not valid: style_weight: Input should be"),
        (
            {"style_weight": 0, "content_weight": 0},
            "The recipe is not valid: there is nothing to optimise: give a content or a style layer a weight",
        ),
        (
            {"style_image_weights": (0, 0)},
            "The recipe is not valid: at least one style image needs a weight above zero.",
        ),
    ],
)
def test_faults_are_told_in_a_sentence(wishes, sentence):
    with pytest.raises(ToolkitError) as error:
        Recipe.preset("transfer", **wishes)
    assert str(error.value).startswith(sentence)


def test_text_that_is_no_recipe_is_refused():
    for text in ("not json", "[]", json.dumps({"synthesis": "collage"})):
        with pytest.raises(ToolkitError, match="The recipe is not valid: "):
            Recipe.from_json(text)
