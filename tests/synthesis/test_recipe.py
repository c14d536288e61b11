"""Recipes: validated, serialisable, described, and kept inside pictures."""

import json
import re
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.pictures.formats import read_recipe, save_image
from toolkit.synthesis import PRESETS, MadeFrom, Recipe, Result, made_from_in
from toolkit.synthesis.notation import format_layers, parse_layers
from toolkit.synthesis.recipe import Group

RECIPES = st.builds(
    lambda synthesis, **fields: Recipe.preset(synthesis, **fields),
    st.sampled_from(list(PRESETS)),
    style_weight=st.floats(1e-6, 1e6),
    content_weight=st.floats(1e-6, 1e6),
    style_image_weights=st.lists(st.floats(1e-6, 1e6), max_size=3).map(tuple),
    size=st.integers(16, 4096),
    iterations=st.integers(1, 1000),
    seed=st.integers(0, 2**62),
    optimizer=st.sampled_from(["lbfgs", "adam"]),
    formula=st.sampled_from(["mean", "paper"]),
)

NAMES = st.from_regex(r"(conv|relu)[1-5]_[1-4]", fullmatch=True)


@given(RECIPES)
def test_a_recipe_survives_json(recipe):
    assert Recipe.checked(recipe.to_json()) == recipe
    assert Recipe.checked(json.loads(recipe.to_json())) == recipe


def test_a_recipe_survives_a_png(tmp_path):
    recipe = Recipe.preset("transfer", style_layers={"relu3_1": 0.1 + 0.2}, size=77)
    save_image(torch.rand(1, 3, 4, 4), tmp_path / "a.png", recipe.to_json())
    assert Recipe.checked(read_recipe(tmp_path / "a.png")) == recipe


def test_a_recipe_of_version_01_is_read():
    recipe = Recipe.preset("transfer", iterations=123)
    fields = json.loads(recipe.to_json())
    fields["evaluations"] = fields.pop("iterations")
    assert Recipe.checked(json.dumps(fields)) == Recipe.checked(fields) == recipe
    assert Recipe.preset("transfer", evaluations=123) == recipe


def test_a_picture_of_version_02_is_read(tmp_path):
    recipe = Recipe.preset("transfer", size=77)
    made_from = {"toolkit": "0.2.0", "network": "a" * 64, "content": "b" * 64, "styles": ["c" * 64], "masks": []}
    fields = {**json.loads(recipe.to_json()), "made_from": made_from}
    save_image(torch.rand(1, 3, 4, 4), tmp_path / "a.png", json.dumps(fields))
    result = Result.read(tmp_path / "a.png")
    assert result.recipe == recipe and result.losses == {}
    assert result.made_from == MadeFrom(toolkit="0.2.0", network="a" * 64, content="b" * 64, styles=["c" * 64])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_result_survives_its_picture(tmp_path, suffix):
    made_from = MadeFrom(toolkit="0.3", network="a", styles=["b", "c"])
    made = Result(torch.zeros(1, 3, 8, 8), Recipe.preset("texture"), made_from, {"style relu1_1": 0.25})
    made.save(tmp_path / f"a{suffix}")
    read = Result.read(tmp_path / f"a{suffix}")
    assert (read.recipe, read.made_from, read.losses) == (made.recipe, made.made_from, made.losses)
    assert torch.equal(read.image, made.image)
    with (tmp_path / f"a{suffix}").open("rb") as file:
        assert Result.read(file).to_json() == made.to_json()


def test_what_a_picture_was_made_from_may_be_missing_or_damaged():
    assert made_from_in(Recipe.preset("texture").to_json()) is None
    for damaged in ('{"made_from": {"toolkit": "0.2"}}', '{"made_from": 7}', "[]", "no JSON"):
        with pytest.raises(ToolkitError, match="made from can't be read"):
            made_from_in(damaged)


def test_every_field_is_described_and_belongs_to_a_group():
    shown = {name: field for name, field in Recipe.model_fields.items() if name != "synthesis"}
    for name, field in shown.items():
        assert field.description, name
        assert field.json_schema_extra["group"] in get_args(Group), name
    assert {field.json_schema_extra["group"] for field in shown.values()} == set(get_args(Group))


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
    ("text", "layers"),
    [
        ("relu1_1", {"relu1_1": 1.0}),
        ("relu1_1, relu2_1", {"relu1_1": 0.5, "relu2_1": 0.5}),
        ("relu1_1=2,relu2_1=1e-3,", {"relu1_1": 2.0, "relu2_1": 1e-3}),
        (" relu1_1 = 2 , relu2_1", {"relu1_1": 2.0, "relu2_1": 0.5}),
        ("", {}),
    ],
)
def test_layers_may_be_given_as_text(text, layers):
    assert parse_layers(text) == layers
    assert Recipe.preset("transfer", style_layers=text).style_layers == layers
    assert parse_layers(format_layers(layers)) == layers


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_layers_that_share_evenly_need_no_weights_as_text(names):
    even = parse_layers(",".join(names))
    assert sum(even.values()) == pytest.approx(1) and format_layers(even) == ", ".join(names)
    assert parse_layers(format_layers(even)) == even


@given(st.dictionaries(NAMES, st.floats(0, 1e12), min_size=1, max_size=6))
def test_layers_survive_text(layers):
    assert parse_layers(format_layers(layers)) == layers


@pytest.mark.parametrize(("text", "weights"), [("1,3", (1, 3)), ("0.5", (0.5,)), ("", ()), ("1, 2 ,", (1, 2))])
def test_weights_may_be_given_as_text(text, weights):
    assert Recipe.preset("transfer", style_image_weights=text).style_image_weights == weights


def test_weights_of_layers_are_those_above_zero_times_their_losss():
    recipe = Recipe.preset("transfer", content_layers="relu1_1=2,relu2_1=0", content_weight=3, style_weight=0)
    assert recipe.layer_weights == ({"relu1_1": 6.0}, {})


def test_a_copy_is_checked_too():
    recipe = Recipe.preset("transfer")
    assert recipe.with_(size=99) == Recipe.preset("transfer", size=99) and recipe.size == 512
    with pytest.raises(ToolkitError, match=r"Size must be at least 16, not 3\."):
        recipe.with_(size=3)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"size": 3}, "Size must be at least 16, not 3."),
        ({"iterations": 0}, "Iterations must be at least 1, not 0."),
        ({"evaluations": 0}, "Iterations must be at least 1, not 0."),
        ({"colours": "red"}, "Colours is unknown."),
        ({"style_weight": -1}, "Style weight must be at least 0, not -1."),
        ({"style_weight": float("nan")}, "Style weight must be a finite number, not nan."),
        ({"style_layers": {"relu1_1": -1}}, "Style layers: relu1_1 must be at least 0, not -1."),
        (
            {"style_layers": "relu1_1=much"},
            "Style layers: 'relu1_1=much' is no list of layers such as relu1_1,relu2_1=0.5.",
        ),
        ({"style_image_weights": "1,x"}, "Style image weights: value 2 must be a number, not 'x'."),
        (
            {"style_weight": 0, "content_weight": 0},
            "There is nothing to optimise: give a content or a style layer a weight",
        ),
        (
            {"style_image_weights": (0, 0)},
            "At least one style image needs a weight above zero.",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(fields, sentence):
    with pytest.raises(ToolkitError) as error:
        Recipe.preset("transfer", **fields)
    assert str(error.value).startswith(sentence)


def test_text_that_is_no_recipe_is_refused():
    for text, sentence in {
        "not json": "Invalid JSON: expected",
        "[]": "it must be an object, not []",
        json.dumps({"synthesis": "collage"}): "synthesis must be 'transfer', ",
        "{}": "synthesis must be given.",
    }.items():
        with pytest.raises(ToolkitError, match=re.escape(f"The recipe is not valid: {sentence}")):
            Recipe.checked(text)
    for fields, sentence in (({}, "Synthesis must be given"), (None, "It must be a valid dictionary")):
        with pytest.raises(ToolkitError, match=sentence):
            Recipe.checked(fields)
    with pytest.raises(ToolkitError, match="Synthesis must be 'transfer', "):
        Recipe.preset("collage")
