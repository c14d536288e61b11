"""The synthesis: what it is given, what it hands over, when it may be left, and how it goes on."""

import io
import itertools
import math

import pytest
import torch

from toolkit.device import native_bfloat16
from toolkit.distributed import Ranks
from toolkit.errors import ToolkitError
from toolkit.export import OnnxObjective
from toolkit.network import fingerprint, load_network
from toolkit.optimize import LBFGS, OPTIMIZERS, EarlyStop, Evaluation
from toolkit.pictures.formats import encoded
from toolkit.pictures.io import example_photographs, resize
from toolkit.synthesis import PRESETS, Objective, Recipe, Synthesis, budget
from toolkit.synthesis.synthesis import MismatchError

#: A transfer of one kind of stage; the finish has tests of its own.
PLAIN = {"finish": 0.0, "total_variation_weight": 0.0, "coarsest": 256, "levels": 4}


@pytest.fixture
def make(tiny_network, random_image):
    """Makes a small synthesis of the given kind."""

    def make(kind="transfer", **fields):
        others = ("make_objective", "masks", "style_masks", "memory")
        options = {name: fields.pop(name) for name in others if name in fields}
        images = {
            "content": fields.pop("content", random_image(60, 80, seed=1)),
            "styles": fields.pop("styles", [random_image(50, 70, seed=2)]),
            "start": fields.pop("start_image", None),
        }
        recipe = Recipe.preset(kind, **{"size": 40, "iterations": 12, "precision": "float32", **PLAIN, **fields})
        return Synthesis(tiny_network(), recipe, **images, **options)

    return make


@pytest.fixture
def make_levels(make, random_image):
    """Makes a transfer of two levels, of two and seven iterations, of 32 x 256 and 64 x 512 pixels, cheaply."""

    def make_levels(**fields):
        layers = {"content_layers": "relu2_1", "style_layers": "relu1_1"}
        wanted = {"size": 512, "iterations": 9, "levels": 2, "content": random_image(16, 128), **layers, **fields}
        return make(**wanted)

    return make_levels


class Recorded:
    """Makes objectives that keep what they were given; ``answer`` may change an evaluation by its number from 1."""

    def __init__(self, answer=None):
        self.images, self.made, self.answer = [], [], answer

    def __call__(self, network, recipe, inputs):
        objective = Objective(network, recipe, inputs)
        self.made.append((network.dtype, inputs))

        def evaluate(image):
            self.images.append(image.clone())
            evaluation = objective(image)
            return evaluation if self.answer is None else self.answer(len(self.images), evaluation)

        evaluate.runs_on = objective.runs_on
        return evaluate


class Alike(Ranks):
    """Ranks of which each has what the others have."""

    def all_gather(self, thing):
        return [thing] * self.world_size


class Scripted:
    """Makes objectives of given values, by number from 0, whose gradient is nothing."""

    def __init__(self, value):
        self.value, self.numbers = value, itertools.count()

    def __call__(self, network, recipe, inputs):
        def evaluate(image):
            value = torch.tensor(float(self.value(next(self.numbers))))
            return Evaluation(value, {"style relu1_1": value}, torch.zeros_like(image))

        evaluate.runs_on = "a script"
        return evaluate


def saved(synthesis):
    """Its state, as a file holds it."""
    buffer = io.BytesIO()
    torch.save(synthesis.state(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def resumed_after(make, stop, **fields):
    """A synthesis that goes on from the state of another after so many iterations."""
    begun, resumed = make(**fields), make(**fields)
    for _ in itertools.islice(begun, stop):
        pass
    resumed.restore(saved(begun))
    return resumed


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", PRESETS)
def test_every_synthesis_lowers_its_objective(make, kind, optimizer):
    synthesis = make(kind, optimizer=optimizer, start="grey", iterations=40)
    objectives = [progress.objective for progress in synthesis]
    assert len(objectives) == 40
    assert min(objectives) < 0.8 * objectives[0]
    # A texture is given the content image too, and takes its proportions.
    assert synthesis.image.shape == (1, 3, 30, 40)


def test_without_a_content_image_the_result_has_the_styles_proportions(make):
    assert make("texture", content=None).image.shape == (1, 3, 29, 40)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_bytes(make, optimizer, precision):
    results = []
    for _ in range(2):
        synthesis = make("texture", optimizer=optimizer, precision=precision, seed=7)
        for _ in synthesis:
            pass
        results.append(encoded(synthesis.image, ".png", synthesis.result.to_json()))
    assert results[0] == results[1]


def test_another_seed_gives_another_start(make):
    assert not torch.equal(make("texture", seed=1).image, make("texture", seed=2).image)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_can_be_left_at_any_iteration_with_its_best_image(make, optimizer):
    synthesis = make(optimizer=optimizer)
    for progress in synthesis:
        if progress.iteration == 5:
            shown = progress.preview()
            break
    assert torch.equal(synthesis.image, shown)
    assert synthesis.image.min() >= 0 and synthesis.image.max() <= 1


def test_it_hands_over_the_least_objective_not_the_last(make):
    objectives = {1: 3.0, 2: 1.0, 3: 2.0}
    recorded = Recorded(lambda number, evaluation: evaluation._replace(objective=torch.tensor(objectives[number])))
    synthesis = make(iterations=3, make_objective=recorded)
    for _ in synthesis:
        pass
    assert torch.equal(synthesis.image, recorded.images[1])


def test_progress_tells_every_loss_by_layer(make):
    progress = next(iter(make(total_variation_weight=1.0)))
    layers = [f"style relu{block}_1" for block in range(1, 6)]
    assert set(progress.losses) == {"content relu4_2", *layers, "total variation"}
    weights = {"content relu4_2": 1.0, **dict.fromkeys(layers, 2.0), "total variation": 1.0}
    assert progress.objective == pytest.approx(sum(weights[name] * loss for name, loss in progress.losses.items()))
    assert (progress.iteration, progress.iterations) == (1, 12)


def test_time_passes_and_none_remains(make):
    progress = list(make())
    seconds = [each.seconds for each in progress]
    assert seconds == sorted(seconds) and seconds[0] > 0
    assert progress[0].remaining > 0 and progress[-1].remaining == 0


def test_a_transfer_starts_from_its_content(make, random_image):
    content = random_image(40, 40, seed=5)
    assert torch.equal(make(content=content).image, content)


def test_each_start_is_what_it_says(make, random_image):
    assert (make(start="grey").image == 0.5).all()
    assert make(start="noise").image.std() == pytest.approx(0.1 * 12**-0.5, rel=0.05)
    own = random_image(30, 40, seed=9)
    assert torch.equal(make(start="image", start_image=own).image, own)
    style = random_image(40, 40, seed=3)
    assert torch.equal(make("amalgamation", start="style", styles=[style]).image, style[..., 5:35, :])


def test_a_run_that_diverges_keeps_what_it_had(make):
    def spoilt(number, evaluation):
        return evaluation._replace(objective=torch.tensor(math.nan)) if number == 4 else evaluation

    synthesis = make(optimizer="adam", make_objective=Recorded(spoilt))
    with pytest.raises(ToolkitError, match="The optimisation diverged: lower the weights"):
        list(synthesis)
    assert torch.isfinite(synthesis.image).all() and synthesis.iteration == 3


def test_the_result_tells_what_it_was_made_from(make, tiny_network):
    made_from = make().result.made_from
    assert made_from.network == fingerprint(tiny_network())
    assert len(made_from.content) == 64 and len(made_from.styles) == 1 and made_from.start is None
    masks = [torch.ones(1, 1, 60, 80)]
    assert make().result.to_json() == make().result.to_json() != make(style_weight=7).result.to_json()
    assert len(make(masks=masks).made_from.masks) == 1


def test_the_result_tells_the_losses_of_the_best_iteration(make):
    synthesis = make()
    assert synthesis.result.losses == {}
    best = min(synthesis, key=lambda progress: progress.objective)
    assert synthesis.result.losses == best.losses
    assert torch.equal(synthesis.result.image, synthesis.image)


def test_inputs_are_one_value_or_given_by_name(make, tiny_network):
    named = make()
    alone = Synthesis(tiny_network(), named.recipe, named.inputs)
    assert alone.result.to_json() == named.result.to_json() and torch.equal(alone.image, named.image)


def test_any_network_transfers_a_style(residual, random_image):
    """One that is no VGG, by autograd; masks and total variation too."""
    layers = {"content_layers": "second", "style_layers": "first.relu,second.relu", "total_variation_weight": 0.1}
    recipe = Recipe.preset("transfer", size=45, iterations=15, start="grey", **layers)
    content, style, mask = random_image(33, 45), random_image(50, 41, seed=1), torch.rand(1, 1, 33, 45)
    synthesis = Synthesis(residual, recipe, content=content, styles=[style], masks=[mask])
    objectives = [progress.objective for progress in synthesis]
    assert min(objectives) < 0.5 * objectives[0]
    assert synthesis.made_from.network == residual.fingerprint
    with pytest.raises(ToolkitError, match="can't be cut into tiles"):
        Synthesis(residual, recipe, content=content, styles=[style], ranks=Alike(0, 2))
    with pytest.raises(ToolkitError, match="folded or exported"):
        Synthesis(residual, recipe, content=content, styles=[style], make_objective=OnnxObjective)


def test_what_does_not_fit_is_refused_before_it_starts(make):
    """The first level alone would fit."""
    wide = {"size": 4096, "levels": 4, "memory": 1.4e9, "optimizer": "adam"}
    for fields, sentence in (
        ({"style_statistic": "sliced"}, "The sliced statistic compares the whole image at once"),
        ({"optimizer": "lbfgs"}, "4096 x 3072 pixels are too many for L-BFGS in 1.4 GB: use Adam, a smaller size,"),
    ):
        with pytest.raises(ToolkitError, match=sentence):
            make(**{**wide, **fields})


@pytest.mark.parametrize("start", ["content", "image"])
def test_images_in_bytes_give_the_same(make, start):
    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (1, 3, 50, 40 + 10 * n), dtype=torch.uint8, generator=generator) for n in range(3)]
    results = []
    for floats in (False, True):
        content, style, own = (image.float() / 255 if floats else image for image in images)
        synthesis = make(content=content, styles=[style], start=start, start_image=own, colour="luminance")
        results.append((synthesis.made_from, [progress.objective for progress in synthesis], synthesis.image))
    assert results[0][:2] == results[1][:2]
    assert torch.equal(results[0][2], results[1][2])


def test_the_network_and_the_images_are_left_as_they_were(tiny_network, random_image):
    network, images = tiny_network(), [random_image(40, 40, seed=seed) for seed in range(2)]
    recipe = Recipe.preset("transfer", size=40, iterations=3, precision="bfloat16")
    list(Synthesis(network, recipe, content=images[0], styles=[images[1]]))
    assert network.dtype == torch.float32 and fingerprint(network) == fingerprint(tiny_network())
    assert all(torch.equal(image, random_image(40, 40, seed=seed)) for seed, image in enumerate(images))


@pytest.mark.parametrize(("scale", "size"), [(0.5, (40, 20)), (1.0, (80, 40)), (2.0, (160, 80))])
def test_the_style_is_resized_by_its_scale(make, random_image, scale, size):
    recorded = Recorded()
    make(size=80, style_scale=scale, styles=[random_image(40, 20)], make_objective=recorded)
    assert recorded.made[0][1].styles[0].shape[-2:] == size


def test_masks_are_resized_to_the_result(make):
    recorded = Recorded()
    make(masks=[torch.ones(1, 1, 15, 20)], make_objective=recorded)
    (mask,) = recorded.made[0][1].masks
    assert mask.shape == (1, 1, 30, 40)
    torch.testing.assert_close(mask, torch.ones_like(mask))


def test_style_masks_are_resized_to_their_style(make):
    recorded = Recorded()
    synthesis = make(style_masks=[torch.ones(1, 1, 15, 20)], style_scale=2, make_objective=recorded)
    inputs = recorded.made[0][1]
    assert inputs.style_masks[0].shape[-2:] == inputs.styles[0].shape[-2:]
    assert len(synthesis.made_from.style_masks) == 1


@pytest.mark.parametrize(
    ("kind", "fields", "sentence"),
    [
        ("transfer", {"content": None, "start": "noise"}, "A transfer needs a content image: name one."),
        ("transfer", {"styles": []}, "A transfer needs a style image: name at least one."),
        (
            "transfer",
            {"styles": [torch.rand(3, 48, 64)]},
            "An image or mask has the shape (3, 48, 64): it must be (1, 3",
        ),
        ("reconstruction", {"content": None, "styles": []}, "A reconstruction needs a content image: name one."),
        ("amalgamation", {"styles": []}, "The recipe starts from the style image, but there is none: name it."),
        ("transfer", {"start": "image"}, "The recipe starts from the start image, but there is none: name it."),
        ("transfer", {"style_image_weights": (1, 2)}, "There are 1 style images but 2 weights: give one for each."),
        ("transfer", {"style_layers": {"relu6_1": 1}}, "Unknown layer 'relu6_1' of vgg19: did you mean"),
        ("transfer", {"size": 16, "style_layers": {"pool5": 1}}, "An image of 16 x 12 pixels is too small for pool5"),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, kind, fields, sentence):
    with pytest.raises(ToolkitError) as error:
        list(make(kind, **fields))
    assert str(error.value).startswith(sentence)


def test_every_level_starts_from_the_one_before_and_the_image_has_its_final_size(make_levels):
    recorded = Recorded()
    synthesis = make_levels(make_objective=recorded)
    assert [(stage.size, stage.iterations) for stage in synthesis.stages] == [((32, 256), 2), ((64, 512), 7)]
    numbers, previews = [], []
    for progress in synthesis:
        numbers.append(progress.iteration)
        previews.append(tuple(progress.preview().shape[-2:]))
        assert synthesis.image.shape == (1, 3, 64, 512)
        assert progress.iterations == 9
    assert previews == [tuple(image.shape[-2:]) for image in recorded.images] == [(32, 256)] * 2 + [(64, 512)] * 7
    assert numbers == list(range(1, 10))


@pytest.mark.parametrize("start", ["content", "noise", "grey"])
def test_a_level_starts_with_the_fine_detail_of_the_recipes_start(make_levels, start):
    recorded = Recorded()
    synthesis = make_levels(start=start, make_objective=recorded)
    steps = iter(synthesis)
    next(steps), next(steps)
    coarse, fine = synthesis.best.clone(), make_levels(start=start, levels=1).best
    next(steps)
    smoothed = resize(resize(fine, (32, 256)), (64, 512))
    expected = (resize(coarse, (64, 512)) + fine - smoothed).clamp(0, 1)
    torch.testing.assert_close(recorded.images[2], expected, rtol=0, atol=1e-6)


def test_iterating_again_goes_on(make_levels):
    synthesis, whole = make_levels(), make_levels()
    for progress in synthesis:
        if progress.iteration == 5:
            break
    assert [progress.iteration for progress in synthesis] == [6, 7, 8, 9]
    list(whole)
    assert torch.equal(synthesis.image, whole.image)
    assert list(synthesis) == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_anywhere_it_ends_with_the_same_image(make_levels, optimizer):
    whole = make_levels(optimizer=optimizer)
    objectives = [progress.objective for progress in whole]
    for stop in (0, 1, 2, 4, 9):
        resumed = resumed_after(make_levels, stop, optimizer=optimizer)
        assert resumed.iteration == stop
        assert [progress.objective for progress in resumed] == objectives[stop:]
        assert torch.equal(resumed.image, whole.image)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ToolkitError("There is no room.")])
def test_what_is_interrupted_between_two_levels_can_be_kept_and_resumed(make_levels, optimizer, error):
    class Interrupted(Recorded):
        def __call__(self, *arguments):
            if len(self.made) == 1:
                raise error
            return super().__call__(*arguments)

    synthesis = make_levels(optimizer=optimizer, make_objective=Interrupted())
    steps = iter(synthesis)
    next(steps), next(steps)
    before = synthesis.image
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        next(steps)
    assert synthesis.iteration == 2 and torch.equal(synthesis.image, before)
    resumed, whole = make_levels(optimizer=optimizer), make_levels(optimizer=optimizer)
    resumed.restore(saved(synthesis))
    assert torch.equal(resumed.image, before)
    assert [progress.iteration for progress in resumed] == list(range(3, 10))
    list(whole)
    assert torch.equal(resumed.image, whole.image)


def test_a_state_of_another_recipe_is_refused(make):
    with pytest.raises(MismatchError, match="style weight"):
        make(style_weight=7).restore(make().state())


@pytest.mark.skipif(not native_bfloat16(torch.device("cpu")), reason="needs a processor with bfloat16 of its own")
def test_mixed_precision_ends_in_float32_and_resumes_anywhere(make):
    fields, recorded = {"precision": "mixed", "iterations": 30}, Recorded()
    whole = make(make_objective=recorded, **fields)
    assert [(stage.precision, stage.iterations) for stage in whole.stages] == [("bfloat16", 25), ("float32", 5)]
    list(whole)
    assert [dtype for dtype, *_ in recorded.made] == [torch.bfloat16, torch.float32]
    for stop in (2, 20, 25, 26, 28):
        resumed = resumed_after(make, stop, **fields)
        assert [progress.iteration for progress in resumed] == list(range(stop + 1, 31))
        assert torch.equal(resumed.image, whole.image), stop


@pytest.mark.parametrize("kind", ["texture", "reconstruction", "amalgamation"])
def test_mixed_precision_is_float32_for_the_others(make, kind):
    mixed, plain = make(kind, precision="mixed"), make(kind, precision="float32")
    assert [p.objective for p in mixed] == [p.objective for p in plain]


def halving(number):
    """Falls for twenty iterations, then stands still."""
    return 0.5 ** min(number, 20)


def test_iterations_that_hardly_pay_are_skipped_and_it_resumes_anywhere(make):
    def counted(start=0, **fields):
        scripted = Scripted(halving)
        scripted.numbers = itertools.count(start)
        return make(iterations=100, make_objective=scripted, **fields)

    whole = counted()
    shown = [(progress.iteration, progress.iterations) for progress in whole]
    made = 20 + EarlyStop.ITERATIONS
    fallen = next(n for n in range(made + 1) if n >= EarlyStop.ITERATIONS and halving(n) > 0.99 * halving(n - 50))
    assert shown == [*((number, 100) for number in range(1, fallen + 1)), (fallen + 1, fallen + 1)]
    assert (whole.iteration, whole.skipped) == (fallen + 1, 99 - fallen)
    for stop in (1, 30, fallen):
        begun, resumed = counted(), counted(stop)
        for _ in itertools.islice(begun, stop):
            pass
        resumed.restore(saved(begun))
        assert [(progress.iteration, progress.iterations) for progress in resumed] == shown[stop:]
        assert resumed.skipped == whole.skipped


def test_a_level_that_ends_early_gives_way_to_the_next(make, random_image):
    synthesis = make(
        size=512, levels=2, iterations=300, content=random_image(16, 128), make_objective=Scripted(lambda number: 1.0)
    )
    progress = list(synthesis)
    assert [stage.iterations for stage in synthesis.stages] == [75, 225]
    each = EarlyStop.ITERATIONS + 1
    assert [p.iteration for p in progress] == list(range(1, 2 * each + 1))
    assert [p.iterations for p in progress] == [300] * (each - 1) + [300 - (75 - each)] * each + [2 * each]
    assert synthesis.skipped == 300 - 2 * each and progress[-1].remaining == 0


def test_on_request_nothing_is_skipped(make):
    synthesis = make(iterations=70, early_stop=False, make_objective=Scripted(lambda number: 1.0))
    assert [progress.iteration for progress in synthesis] == list(range(1, 71))
    assert synthesis.skipped == 0


def test_it_says_what_computes(make):
    assert make().runs_on == "PyTorch on cpu"
    assert make(make_objective=Scripted(float)).runs_on == "a script"


@pytest.mark.parametrize("pairs", [1, 3])
def test_fewer_pairs_go_another_way_and_still_down(make, monkeypatch, pairs):
    many = make(iterations=20)
    monkeypatch.setattr(budget, "PAIRS", pairs)
    monkeypatch.setattr(budget, "FEWEST_PAIRS", 1)
    few = make(iterations=20)
    objectives = [[progress.objective for progress in synthesis] for synthesis in (few, many)]
    assert objectives[0][: pairs + 1] == pytest.approx(objectives[1][: pairs + 1], rel=1e-4)
    assert objectives[0] != pytest.approx(objectives[1], rel=1e-4)
    assert min(objectives[0]) < objectives[0][0]


@pytest.mark.parametrize(("iterations", "kept"), [(1, 0), (2, 1), (7, 4), (20, 10), (60, 20)])
def test_no_more_pairs_are_kept_than_half_the_iterations(make, monkeypatch, iterations, kept):
    monkeypatch.setattr(budget, "PAIRS", 20)
    synthesis = make("reconstruction", content_layers="relu1_1", iterations=iterations, early_stop=False)
    list(synthesis)
    assert len(synthesis.state()["optimizer"]["pairs"]["steps"]) == kept


def test_no_step_leaps_and_so_none_has_to_come_back():
    """Without the bound this one still stands at 78 % after thirty iterations."""
    content, style = (example_photographs()[name] for name in ("chelsea", "astronaut"))
    recipe = Recipe.preset("transfer", size=64, iterations=30, style_layers={"relu1_1": 1.0}, **PLAIN)
    recorded = Recorded()
    synthesis = Synthesis(load_network("vgg19-small"), recipe, content=content, styles=[style], make_objective=recorded)
    objectives = [progress.objective for progress in synthesis]
    steps = [float((after - before).abs().mean()) for before, after in itertools.pairwise(recorded.images)]
    assert 0.5 * LBFGS.LARGEST_STEP < max(steps) <= 1.001 * LBFGS.LARGEST_STEP
    assert min(objectives) < 0.01 * objectives[0]


def test_gradients_of_the_real_network_are_finite_and_of_one_order(shared_data, random_image):
    """A smoke test on the real VGG-19, where it is at hand."""
    network = load_network(shared_data / "weights" / "vgg19-features-caffe.safetensors", pooling="average")
    synthesis = Synthesis(
        network, Recipe.preset("texture", size=64, iterations=2, style_weight=1e-9), styles=[random_image(64, 64)]
    )
    assert all(math.isfinite(progress.objective) for progress in synthesis)
