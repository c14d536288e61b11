"""The engine: what it is given, what it hands over, and when it may be left."""

import pytest
import torch

from toolkit.errors import ToolkitError
from toolkit.images.io import png_bytes
from toolkit.network import fingerprint
from toolkit.synthesis import PRESETS, Recipe, Synthesis
from toolkit.synthesis.optimizers import OPTIMIZERS


@pytest.fixture
def make(tiny_network, random_image):
    """Makes a small synthesis of the given kind."""

    def make(kind="transfer", **wishes):
        options = {name: wishes.pop(name) for name in ("content", "styles", "start_image") if name in wishes}
        recipe = Recipe.preset(kind, **{"size": 40, "evaluations": 12, "precision": "float32", **wishes})
        return Synthesis(
            tiny_network(),
            recipe,
            content=options.get("content", random_image(60, 80, seed=1)),
            styles=options.get("styles", [random_image(50, 70, seed=2)]),
            start=options.get("start_image"),
        )

    return make


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", PRESETS)
def test_every_synthesis_lowers_its_objective(make, kind, optimizer):
    synthesis = make(kind, optimizer=optimizer, start="grey", evaluations=40)
    objectives = [progress.objective for progress in synthesis]
    assert len(objectives) == 40
    assert min(objectives) < 0.8 * objectives[0]
    assert synthesis.image.shape == (1, 3, 30, 40) if kind != "texture" else (1, 3, 29, 40)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_bytes(make, optimizer, precision):
    results = []
    for _ in range(2):
        synthesis = make("texture", optimizer=optimizer, precision=precision, seed=7)
        for _ in synthesis:
            pass
        results.append(png_bytes(synthesis.image, synthesis.recipe.to_json()))
    assert results[0] == results[1]


def test_another_seed_gives_another_start(make):
    assert not torch.equal(make("texture", seed=1).image, make("texture", seed=2).image)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_can_be_left_at_any_evaluation_with_its_best_image(make, optimizer):
    synthesis = make(optimizer=optimizer)
    for progress in synthesis:
        if progress.evaluation == 5:
            shown = progress.preview()
            break
    assert torch.equal(synthesis.image, shown)
    assert synthesis.image.min() >= 0 and synthesis.image.max() <= 1


def test_it_hands_over_the_least_objective_not_the_last(make, monkeypatch):
    synthesis = make(evaluations=3)
    objective = synthesis._objective
    images, values = [], iter([3.0, 1.0, 2.0])

    def scripted(image):
        images.append(image.clone())
        evaluation = objective(image)
        object.__setattr__(evaluation, "objective", next(values))
        return evaluation

    synthesis._objective = scripted
    for _ in synthesis:
        pass
    assert torch.equal(synthesis.image, images[1].clamp(0, 1))


def test_progress_tells_every_loss_by_layer(make):
    progress = next(iter(make(total_variation_weight=1.0)))
    layers = [f"style relu{block}_1" for block in range(1, 6)]
    assert list(progress.losses) == ["content relu4_2", *layers, "total variation"]
    weights = [1.0, *[20.0] * 5, 1.0]
    weighted = sum(w * loss for w, loss in zip(weights, progress.losses.values(), strict=True))
    assert progress.objective == pytest.approx(weighted)
    assert (progress.evaluation, progress.evaluations) == (1, 12)


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


def spoil(synthesis, numbers):
    """Makes the objective of some evaluations not a number; gives the list of images evaluated."""
    objective, images = synthesis._objective, []

    def spoilt(image):
        images.append(image.clone())
        evaluation = objective(image)
        if len(images) in numbers:
            object.__setattr__(evaluation, "objective", float("nan"))
        return evaluation

    synthesis._objective = spoilt
    return images


def test_a_run_that_diverges_keeps_what_it_had(make):
    synthesis = make(optimizer="adam")
    spoil(synthesis, {4})
    with pytest.raises(ToolkitError, match="The optimisation diverged: lower the weights"):
        list(synthesis)
    assert torch.isfinite(synthesis.image).all()


def test_lbfgs_takes_half_a_step_where_a_whole_one_led_to_no_number(make):
    synthesis = make(evaluations=9)
    images = spoil(synthesis, {5})
    objectives = [progress.objective for progress in synthesis]
    assert len(objectives) == len(images) == 9
    torch.testing.assert_close(images[5], (images[3] + images[4]) / 2)
    assert objectives[-1] < objectives[3]


def test_the_recipe_tells_what_it_was_made_from(make, tiny_network):
    made_from = make().recipe.made_from
    assert made_from.network == fingerprint(tiny_network())
    assert len(made_from.content) == 64 and len(made_from.styles) == 1 and made_from.start is None


@pytest.mark.parametrize("start", ["content", "image"])
def test_pictures_in_bytes_give_the_same(make, start):
    pictures = [torch.randint(256, (1, 3, 50, 40 + 10 * n), dtype=torch.uint8) for n in range(3)]
    results = []
    for floats in (False, True):
        content, style, own = (picture.float() / 255 if floats else picture for picture in pictures)
        synthesis = make(content=content, styles=[style], start=start, start_image=own, colour="luminance")
        results.append((synthesis.recipe.to_json(), [progress.objective for progress in synthesis], synthesis.image))
    assert results[0][:2] == results[1][:2]
    assert torch.equal(results[0][2], results[1][2])


def test_the_network_is_left_as_it_was(tiny_network, random_image):
    network = tiny_network()
    recipe = Recipe.preset("texture", size=32, evaluations=2, precision="bfloat16")
    list(Synthesis(network, recipe, styles=[random_image()]))
    assert network.dtype == torch.float32 and fingerprint(network) == fingerprint(tiny_network())


@pytest.mark.parametrize(
    ("kind", "wishes", "sentence"),
    [
        ("transfer", {"content": None, "start": "noise"}, "A transfer needs a content image: name one."),
        ("transfer", {"styles": []}, "A transfer needs a style image: name at least one."),
        ("reconstruction", {"content": None, "styles": []}, "A reconstruction needs an image: name one."),
        ("amalgamation", {"styles": []}, "The recipe starts from the style, but there is none: name it."),
        ("transfer", {"start": "image"}, "The recipe starts from the image, but there is none: name it."),
        ("transfer", {"style_image_weights": (1, 2)}, "There are 1 style images but 2 weights for them."),
        ("transfer", {"style_layers": {"relu6_1": 1}}, "Unknown layer 'relu6_1' of vgg19: did you mean"),
        ("transfer", {"size": 16, "style_layers": {"pool5": 1}}, "An image of 16 x 11 pixels is too small for pool5"),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, kind, wishes, sentence):
    with pytest.raises(ToolkitError) as error:
        list(make(kind, **wishes))
    assert str(error.value).startswith(sentence)


def test_gradients_of_the_real_network_are_finite_and_of_one_order(shared_data, random_image):
    """A smoke test on the real VGG-19, where it is at hand."""
    from toolkit.network import load_network

    network = load_network(shared_data / "weights" / "vgg19-features-caffe.safetensors", pooling="average")
    synthesis = Synthesis(
        network, Recipe.preset("texture", size=64, evaluations=2, style_weight=1e-9), styles=[random_image(64, 64)]
    )
    assert all(torch.isfinite(torch.tensor(p.objective)) for p in synthesis)
