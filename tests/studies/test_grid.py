"""Studies: every cell is what its own recipe makes, and no iteration is made twice."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from toolkit.errors import ToolkitError
from toolkit.normalize import normalize_by_default
from toolkit.pictures.sheet import Labels, boxes, grid
from toolkit.studies import Axis, Study, Variation, data, parse_axis, picture
from toolkit.synthesis import Recipe, Synthesis

CONTENT_LAYERS = parse_axis("content-layers=relu1_2,relu2_2")


@pytest.fixture
def make(tiny_network, random_image):
    """Makes a small study."""

    def make(rows, columns=None, network=None, synthesis="reconstruction", styles=(), options=None, **fields):
        recipe = Recipe.preset(synthesis, **{"size": 32, "iterations": 4, **fields})
        return Study(
            network or tiny_network(),
            recipe,
            parse_axis(rows) if isinstance(rows, str) else rows,
            parse_axis(columns) if isinstance(columns, str) else columns,
            content=random_image(24, 32),
            styles=styles,
            **(options or {}),
        )

    return make


def test_every_cell_is_what_its_own_recipe_makes(make, tiny_network, random_image):
    study = make("content-layers=relu1_2,relu2_2", "iterations=2,5,3", precision="mixed", levels=3)
    list(study)
    assert study.cells.keys() == {(row, column) for row in range(2) for column in range(3)}
    for (row, column), cell in study.cells.items():
        assert cell.recipe.content_layers == {f"relu{row + 1}_2": 1.0}
        assert cell.recipe.iterations == (2, 5, 3)[column]
        alone = Synthesis(tiny_network(), cell.recipe, content=random_image(24, 32))
        least = min(list(alone), key=lambda progress: progress.objective)
        assert alone.made_from == cell.made_from
        assert torch.equal(alone.image, cell.image)
        assert least.losses == cell.losses


def test_masks_count_in_every_cell(make, tiny_network, random_image):
    styles = [random_image(seed=1), random_image(seed=2)]
    masks = [random_image(24, 32, seed=seed)[:, :1] for seed in (3, 4)]
    given = {"masks": masks, "style_masks": [random_image(seed=5)[:, :1]] * 2}
    study = make("style-weight=1,10", synthesis="transfer", styles=styles, options=given)
    list(study)
    for cell in study.cells.values():
        alone = Synthesis(tiny_network(), cell.recipe, content=random_image(24, 32), styles=styles, **given)
        list(alone)
        assert alone.made_from == cell.made_from and torch.equal(alone.image, cell.image)


def test_iterations_are_snapshots_of_one_synthesis(make):
    study = make("iterations=2,6", "content-layers=relu1_2,relu2_2")
    steps = list(study)
    assert len(steps) == study.total == 12
    assert [step.done for step in steps] == list(range(1, 13))
    assert [step.progress.iteration for step in steps] == [*range(1, 7)] * 2
    assert [(step.row, step.column) for step in steps] == [(0, 0)] * 2 + [(1, 0)] * 4 + [(0, 1)] * 2 + [(1, 1)] * 4
    assert [number for number, step in enumerate(steps, 1) if step.finished] == [2, 6, 8, 12]


def test_left_at_any_iteration_it_goes_on_with_what_is_missing(make):
    whole = make("content-layers=relu1_2,relu2_2")
    list(whole)
    study = make("content-layers=relu1_2,relu2_2")
    for step in study:
        if step.done == 6:
            break
    assert study.cells.keys() == {(0, 0)}
    steps = list(study)
    assert [step.done for step in steps] == [5, 6, 7, 8]
    assert all(torch.equal(study.cells[place].image, cell.image) for place, cell in whole.cells.items())
    assert not list(study)


def test_what_was_kept_is_not_made_again(make):
    first = make("content-layers=relu1_2,relu2_2", "iterations=2,4")
    list(first)
    asked = []

    def kept(place, recipe, made_from):
        asked.append((place, recipe))
        return first.cells[place] if place[0] == 1 else None

    second = make("content-layers=relu1_2,relu2_2", "iterations=2,4", options={"kept": kept})
    steps = list(second)
    assert [step.progress is None for step in steps] == [False] * 4 + [True] * 2
    assert [step.done for step in steps] == [1, 2, 3, 4, 6, 8]
    assert all(recipe == first.cells[place].recipe for place, recipe in asked)
    assert second.cells[1, 1] is first.cells[1, 1]


def test_taking_up_a_finished_study_computes_nothing(make, tiny_network, monkeypatch):
    first = make("content-layers=relu1_2,relu2_2", "iterations=2,4")
    list(first)
    network, calls = tiny_network(), []
    walk = network.walk
    monkeypatch.setattr(network, "walk", lambda *arguments: calls.append(1) or walk(*arguments))
    next(iter(make("content-layers=relu1_2,relu2_2", "iterations=2,4", network)))
    assert calls
    calls.clear()
    options = {"kept": lambda place, recipe, _: first.cells[place] if first.cells[place].recipe == recipe else None}
    again = make("content-layers=relu1_2,relu2_2", "iterations=2,4", network, options=options)
    assert [step.done for step in again] == [2, 4, 6, 8] and again.cells == first.cells
    assert not calls


def test_where_an_optimisation_ends_early_its_cells_are_finished(make):
    study = make("iterations=60,5000,9000", start="grey")
    steps = list(study)
    assert study.cells.keys() == {(row, 0) for row in range(3)} and steps[-1].done == study.total == 9000
    assert len(steps) < 9000 and torch.equal(study.cells[1, 0].image, study.cells[2, 0].image)


def test_a_cell_without_enough_memory_says_so(make):
    study = make("optimizer=lbfgs,adam", options={"memory": 1000})
    list(study)
    assert "use Adam" in study.cells[0, 0].error and study.cells[1, 0].image is not None


def test_a_cell_that_fails_says_why_and_the_others_are_made(make):
    rows = Axis("size", (Variation("16", {"size": 16}), Variation("32", {"size": 32})))
    study = make(rows, "iterations=2,3", content_layers={"pool5": 1.0})
    steps = list(study)
    assert study.cells[0, 1].image is None and study.cells[1, 1].error.startswith("An image of 32 x 24 pixels is too")
    assert [(step.done, step.progress) for step in steps] == [(3, None), (3, None), (6, None), (6, None)]
    study = make(rows, content_layers={"pool4": 1.0})
    list(study)
    assert study.cells[0, 0].error.startswith("An image of 16 x 12 pixels is too small for pool4")
    assert study.cells[1, 0].error == "" and study.cells[1, 0].image.shape == (1, 3, 24, 32)
    assert "too small" in json.dumps(data(study))
    picture(study)


def test_networks_replace_and_treatments_apply_to_the_one_in_use(make, tiny_network):
    network = normalize_by_default(tiny_network())
    other = normalize_by_default(tiny_network(seed=1))
    networks = Axis("network", (Variation("ours"), Variation("theirs", network=other)))
    study = make(networks, "normalization", network=network, iterations=1)
    list(study)
    prints = {place: cell.made_from.network for place, cell in study.cells.items()}
    assert len(set(prints.values())) == 4
    with pytest.raises(ToolkitError, match="This network is not normalised, so it is its own original"):
        make("normalization")


def test_a_network_that_is_no_vgg_has_studies_too(make, residual):
    fields = {"content_layers": {"second": 1.0}, "iterations": 1}
    study = make("seed=1,2", network=residual, **fields)
    list(study)
    assert [cell.error for cell in study.cells.values()] == ["", ""]
    with pytest.raises(ToolkitError, match="Unknown layer 'third'"):
        make("seed=1,2", network=residual, **fields | {"content_layers": {"third": 1.0}})


@pytest.mark.parametrize(
    ("rows", "columns", "sentence"),
    [
        ("style-layers", "style-layer", r"Rows and columns both set the style_layers: choose axes of different"),
        ("iterations=0", None, r"Iterations must be at least 1, not 0\."),
        ("content-layers=relu9_1", None, r"Unknown layer 'relu9_1' of vgg19: did you mean"),
        (Axis("x", (Variation("a", {"colour": "red"}),)), None, r"Colour must be 'style', "),
    ],
)
def test_mistakes_are_told_before_anything_is_made(make, rows, columns, sentence):
    with pytest.raises(ToolkitError, match=sentence):
        make(rows, columns)


def test_no_image_and_no_values_are_refused(tiny_network):
    with pytest.raises(ToolkitError, match=r"^There is no image to make another from: name one\.$"):
        Study(tiny_network(), Recipe.preset("texture"), CONTENT_LAYERS)
    with pytest.raises(ToolkitError, match=r"^There are no values for seed: name at least one\.$"):
        Axis("seed", ())


def test_the_data_tell_everything_in_plain_json(make):
    study = make("content-layers=relu1_2,relu2_2", "iterations=2,4")
    for step in study:
        if step.done == 5:
            break
    told = json.loads(json.dumps(data(study), allow_nan=False))
    assert told["rows"]["title"] == "content layer" and told["columns"]["variations"][1]["label"] == "4"
    assert [(cell["row"], cell["column"]) for cell in told["cells"]] == [("relu1_2", "2"), ("relu1_2", "4")]
    assert Recipe.checked(told["cells"][1]["recipe"]) == study.cells[0, 1].recipe
    assert told["cells"][1]["losses"].keys() == {"content relu1_2"}


def test_the_picture_has_its_shape_from_the_start(make):
    study = make("content-layers=relu1_2,relu2_2", "iterations=2,4")
    before = picture(study)
    list(study)
    after = picture(study)
    assert before.size == after.size and before.mode == "RGB" and before.tobytes() != after.tobytes()


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.text(max_size=30), min_size=1, max_size=4),
    columns=st.lists(st.text(max_size=30), min_size=1, max_size=4),
    titles=st.tuples(st.text(max_size=60), st.text(max_size=60)),
    box=st.tuples(st.integers(1, 120), st.integers(1, 120)),
)
def test_a_grid_has_room_for_any_labels_and_cells(rows, columns, titles, box):
    sheet = grid({(0, 0): "a sentence that is long"}, Labels(titles[0], rows), Labels(titles[1], columns), box)
    assert sheet.width > len(columns) * box[0] and sheet.height > len(rows) * box[1]


def test_a_place_in_the_grid_is_where_its_picture_is():
    rows, columns, box = Labels("y", ["a", "longer"]), Labels("x", ["c", "much longer than a cell", "d"]), (60, 40)
    found = boxes(rows, columns, box)
    assert list(found) == [(row, column) for row in range(2) for column in range(3)]
    for place, where in found.items():
        sheet = grid({place: Image.new("RGB", box, (200, 30, 30))}, rows, columns, box)
        assert sheet.crop(where).getcolors() == [(60 * 40, (200, 30, 30))]


def test_cells_are_fitted_into_their_boxes():
    cells = {(0, 0): Image.new("RGB", (60, 40), (200, 30, 30)), (1, 1): Image.new("RGB", (30, 20), (30, 30, 200))}
    sheet = grid(cells, Labels("y", ["a", "b"]), Labels("x", ["c", "d"]), (60, 40))
    counts = {colour: count for count, colour in sheet.getcolors(1 << 16)}
    assert counts[200, 30, 30] == counts[30, 30, 200] == 60 * 40
