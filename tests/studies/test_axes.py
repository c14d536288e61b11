"""Axes: what a person's text means."""

import pytest

from toolkit.errors import ToolkitError
from toolkit.network import save_network
from toolkit.studies import AXES, parse_axis
from toolkit.synthesis import Recipe


def labels(axis):
    return [variation.label for variation in axis.variations]


def test_style_layers_grow_and_share_their_weight():
    axis = parse_axis("style-layers=relu1_1, relu2_1,relu3_1")
    assert labels(axis) == ["relu1_1", "+ relu2_1", "+ relu3_1"]
    assert axis.variations[2].fields == {"style_layers": {"relu1_1": 1 / 3, "relu2_1": 1 / 3, "relu3_1": 1 / 3}}
    assert axis.variations[0].fields == {"style_layers": {"relu1_1": 1.0}}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("content-layers=relu1_2,relu4_2", {"content_layers": {"relu4_2": 1.0}}),
        ("style-layer=relu1_1,relu4_1", {"style_layers": {"relu4_1": 1.0}}),
        ("ratio=1,1e-3", {"content_weight": 1.0, "style_weight": 1000.0}),
        ("iterations=25,50", {"iterations": 50}),
        ("size=64,128", {"size": 128}),
        ("seed=0,7", {"seed": 7}),
        ("style-weight=1,2.5", {"style_weight": 2.5}),
        ("early-stop=on,off", {"early_stop": False}),
        ("colour=style,luminance", {"colour": "luminance"}),
    ],
)
def test_values_are_fields_of_the_recipe(text, fields):
    axis = parse_axis(text)
    assert axis.variations[1].fields == fields
    assert labels(axis) == text.partition("=")[2].split(",")


def test_fields_that_are_a_number_a_choice_or_a_switch_have_an_axis():
    names = {name.replace("-", "_") for name in AXES}
    others = {"synthesis", "style_image_weights"}
    assert Recipe.model_fields.keys() - names == others


@pytest.mark.parametrize("name", AXES)
def test_every_kind_has_usual_values_of_its_own(name):
    axis = AXES[name]()
    assert ",".join(labels(axis)).replace("+ ", "") == AXES[name].usual
    assert axis == parse_axis(name) or name == "network"


def test_networks_are_loaded_by_name(tmp_path, tiny_network):
    save_network(tiny_network(), tmp_path / "plain.safetensors")
    (variation,) = AXES["network"](f"{tmp_path}/plain.safetensors").variations
    assert variation.network.mean_activations and variation.sets == {"network"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("iteration=3", r"Unknown axis 'iteration': did you mean iterations"),
        ("iterations=many", r"'many' are no values for iterations: write them like 25,50,100,300\."),
        ("ratio=0", r"'0' are no values for content weight / style weight: write them like 1e-3"),
        ("ratio=nan", "'nan' are no values"),
        ("normalization=bare", r"'bare' are no values for network: write them like normalised,original\."),
        ("optimizer=newton", r"'newton' are no values for optimizer: write them like lbfgs,adam"),
        ("seed=1,1", r"The values for seed contain '1' twice: name each once\."),
        ("network=nowhere", "There is no network file nowhere"),
    ],
)
def test_mistakes_are_told_in_a_sentence(text, sentence):
    with pytest.raises(ToolkitError, match=f"^{sentence}"):
        parse_axis(text)
