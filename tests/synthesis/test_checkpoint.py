"""A synthesis that was ended anywhere, however it was ended, goes on from its file to the same image."""

import itertools

import pytest
import torch

from toolkit.distributed import Ranks
from toolkit.errors import InputError, ToolkitError
from toolkit.optimize import OPTIMIZERS
from toolkit.synthesis import Checkpoint, Objective, Recipe, Synthesis


@pytest.fixture
def make(tiny_network, random_image):
    """Makes a transfer of two levels, of two and seven iterations."""

    def make(make_objective=None, **fields):
        wanted = {"size": 512, "iterations": 9, "levels": 2, "precision": "float32", **fields}
        recipe = Recipe.preset("transfer", content_layers="relu2_1", style_layers="relu1_1", **wanted)
        images = {"content": random_image(16, 128), "styles": [random_image(seed=2)]}
        return Synthesis(tiny_network(), recipe, **images, make_objective=make_objective)

    return make


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.checkpoint"


def interrupted_at(number):
    """Makes objectives of which one evaluation is interrupted, after the network was run."""
    calls = itertools.count(1)

    def make(*arguments):
        objective = Objective(*arguments)

        def evaluate(image):
            evaluation = objective(image)
            if next(calls) == number:
                raise KeyboardInterrupt
            return evaluation

        evaluate.runs_on = objective.runs_on
        return evaluate

    return make


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("stop", [1, 2, 3, 6])
def test_left_anywhere_it_goes_on_to_the_same_image(make, path, optimizer, stop):
    whole = make(optimizer=optimizer)
    objectives = [progress.objective for progress in whole]
    begun = Checkpoint(path, make(optimizer=optimizer))
    for progress in begun:
        if progress.iteration == stop:
            begun.save()
            break
    synthesis = make(optimizer=optimizer)
    resumed = Checkpoint(path, synthesis)
    assert synthesis.iteration == stop
    assert [progress.objective for progress in resumed] == objectives[stop:]
    assert torch.equal(synthesis.image, whole.image)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_interrupted_within_an_evaluation_it_goes_on_to_the_same_image(make, path, optimizer, number):
    begun = Checkpoint(path, make(interrupted_at(number), optimizer=optimizer))
    with pytest.raises(KeyboardInterrupt):
        list(begun)
    begun.save()
    whole, synthesis = make(optimizer=optimizer), make(optimizer=optimizer)
    assert [progress.iteration for progress in Checkpoint(path, synthesis)] == list(range(number, 10))
    list(whole)
    assert torch.equal(synthesis.image, whole.image)


def test_a_finished_one_has_nothing_left_to_do(make, path):
    checkpoint, again = Checkpoint(path, make()), make()
    list(checkpoint)
    checkpoint.save()
    assert list(Checkpoint(path, again)) == [] and again.iteration == 9


def test_nothing_is_written_before_it_is_time(make, path):
    """All of this takes less than the time between two checkpoints."""
    assert [progress.iteration for progress in Checkpoint(path, make())] == list(range(1, 10))
    assert list(path.parent.iterdir()) == []


def test_it_replaces_the_file_whole_and_removes_it(make, path):
    checkpoint = Checkpoint(path, make())
    for _ in itertools.islice(checkpoint, 3):
        checkpoint.save()
        assert list(path.parent.iterdir()) == [path]
    checkpoint.remove()
    assert list(path.parent.iterdir()) == []
    checkpoint.remove()


def test_the_first_rank_writes(make, path):
    checkpoint = Checkpoint(path, make(), Ranks(rank=1))
    checkpoint.save()
    assert not path.exists()
    Checkpoint(path, make()).save()
    checkpoint.remove()
    assert path.exists()


def test_another_recipe_network_or_image_is_refused(make, path, tiny_network, random_image):
    Checkpoint(path, make()).save()
    before = path.read_bytes()
    fields = {"size": 512, "iterations": 9, "levels": 2, "precision": "float32"}
    recipe = Recipe.preset("transfer", content_layers="relu2_1", style_layers="relu1_1", **fields)
    content, style = random_image(16, 128), random_image(seed=2)
    others = {
        "style weight 10.0, not 7.0": make(style_weight=7),
        "iterations 9, not 12 and levels 2, not 1": make(iterations=12, levels=1),
        "other network": Synthesis(tiny_network(seed=1), recipe, content=content, styles=[style]),
        "other styles": Synthesis(tiny_network(), recipe, content=content, styles=[random_image(seed=3)]),
    }
    for differences, other in others.items():
        with pytest.raises(InputError) as error:
            Checkpoint(path, other)
        assert str(error.value) == (
            f"The checkpoint {path} was made with {differences}: resume with what it was made with, name another "
            "output, or start from the older picture."
        )
        assert error.value.field == "start_image"
    assert path.read_bytes() == before


def test_files_of_another_kind_are_refused(make, path):
    Checkpoint(path, make()).save()
    whole = torch.load(path, weights_only=True)
    older = {name: value for name, value in whole.items() if name != "skipped"}
    without = {**whole, "optimizer": {name: v for name, v in whole["optimizer"].items() if name != "objective"}}
    beyond = {**whole, "stage": 5}
    for other in (older, without, beyond, {**whole, "optimizer": {}}, {"weights": torch.ones(2)}, [1, 2], 7):
        torch.save(other, path)
        with pytest.raises(ToolkitError) as error:
            Checkpoint(path, make())
        assert str(error.value) == (
            f"The checkpoint {path} is of another version or kind: name another output to start anew."
        ), other


def test_damaged_files_are_refused(make, path):
    Checkpoint(path, make()).save()
    whole = path.read_bytes()
    for damaged in (b"", b"cut short", whole[: len(whole) // 2], whole[:-100]):
        path.write_bytes(damaged)
        with pytest.raises(ToolkitError) as error:
            Checkpoint(path, make())
        assert str(error.value) == f"The checkpoint {path} can't be read: name another output to start anew."


def test_no_code_in_a_file_is_run(make, path, tmp_path):
    class Touch:
        def __reduce__(self):
            return (type(tmp_path).touch, (tmp_path / "touched",))

    torch.save({"recipe": Touch()}, path)
    with pytest.raises(ToolkitError, match="can't be read"):
        Checkpoint(path, make())
    assert not (tmp_path / "touched").exists()


def test_what_cannot_be_written_is_told(make, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ToolkitError, match="Could not write"):
        Checkpoint(tmp_path / "file" / "x.checkpoint", make()).save()
