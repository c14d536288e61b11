"""Settings as text: links and pasted recipes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.components.settings_text import FIELDS, is_link, query, read, shown
from toolkit.errors import ToolkitError
from toolkit.synthesis import Recipe
from toolkit.synthesis.notation import as_text

RECIPES = st.builds(
    lambda **fields: Recipe.preset("transfer", **fields),
    style_weight=st.floats(0.001, 1e6),
    style_image_weights=st.sampled_from(["", "1,3"]),
    size=st.integers(16, 512),
    iterations=st.integers(1, 1000),
    colour=st.sampled_from(["style", "luminance"]),
    style_statistic=st.sampled_from(["gram", "sliced"]),
    content_layers=st.sampled_from(["relu4_2", "relu1_1=2,relu3_1"]),
    style_layers=st.sampled_from(["fine", "relu1_1", "balanced"]),
    start=st.sampled_from(["content", "noise"]),
    seed=st.integers(0, 99),
)


@given(recipe=RECIPES, with_images=st.booleans())
def test_a_link_holds_settings_and_example_images(context, recipe, with_images):
    values = {name: as_text(getattr(recipe, name)) for name in FIELDS}
    images = {"content": context.photographs[1], "style": context.paintings[2]} if with_images else {}
    text = query(context, images.get("content"), images.get("style"), context.default, values)
    if not text:
        assert values == {name: as_text(getattr(Recipe.preset("transfer"), name)) for name in FIELDS}
        return
    assert is_link(f"?{text}&__theme=dark")
    for link in (text, f"?{text}", f"https://example.org/some/path/?{text}"):
        found, controls = read(context, link)
        assert found == images
        assert controls == values | {"network": context.default}


def test_a_visitors_own_image_is_not_in_the_link(context):
    assert "mine" not in query(context, "/tmp/mine.jpg", None, context.default, {"seed": 1})


def test_a_recipe_is_read_as_well_and_kept_within_the_hosts_limits(context):
    recipe = Recipe.preset("transfer", size=4096, iterations=5000, start="image")
    images, controls = read(context, recipe.to_json())
    assert images == {} and controls == shown(context, recipe)
    assert (controls["size"], controls["iterations"], controls["start"]) == (512, 1000, "content")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Paste a link"),
        ("hello=there", "neither a link to this page nor a recipe: it says 'hello'"),
        ("https://example.org/?size=huge", "Size must be a whole number"),
        ("size=10&network=vgg99", "no network 'vgg99'"),
        ('{"synthesis": "texture", "style_layers": "relu1_1"}', "recipe of a texture"),
        ("{broken", "The recipe is not valid"),
    ],
)
def test_other_text_is_refused_in_a_sentence(context, text, sentence):
    with pytest.raises(ToolkitError, match=sentence):
        read(context, text)


def test_other_parts_of_an_address_are_no_link():
    assert not is_link("") and not is_link("?__theme=dark") and is_link("?size=64")


def test_finished_pictures_are_of_the_examples(context):
    from demo.examples.finished import FINISHED

    stems = {Path(path).stem for path in (*context.photographs, *context.paintings)}
    for each in FINISHED:
        assert each.path.exists() and {each.photograph, each.style} <= stems
        assert each.recipe.size <= 1024
