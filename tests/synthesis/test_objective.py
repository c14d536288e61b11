"""The objective against the textbook: losses written out, and their gradient by autograd, in float64."""

from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from toolkit.choices import StatisticName
from toolkit.errors import ToolkitError
from toolkit.synthesis import Inputs, Recipe
from toolkit.synthesis.objective import Objective

CONTENT_LAYERS = {"relu4_2": 0.7, "conv3_1": 0.3, "relu2_1": 0.2}
STYLE_LAYERS = {"relu1_1": 0.5, "conv2_2": 0.1, "pool3": 0.2, "relu2_1": 0.2, "relu5_1": 1.0}


def relative_error(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def gram(features, guide=None):
    flat = features[0].flatten(1)
    counts = torch.ones_like(flat[0]) if guide is None else guide.flatten()
    return (flat * counts) @ flat.mT / counts.sum()


def guide(mask, features):
    return F.adaptive_avg_pool2d(mask, features.shape[-2:]).square()


def textbook(network, recipe, content, styles, masks, style_masks, image):
    """Each loss before its weight, by name; the objective; and its gradient by autograd."""
    image = image.clone().requires_grad_()
    features = network(image, [*recipe.content_layers, *recipe.style_layers])
    losses, objective = {}, 0
    for name, weight in recipe.content_layers.items():
        squares = (features[name] - network(content, [name])[name]).square()
        losses[f"content {name}"] = squares.mean() if recipe.formula == "mean" else squares.sum() / 2
        objective += recipe.content_weight * weight * losses[f"content {name}"]
    shares = torch.tensor(recipe.style_image_weights or [1.0] * len(styles), dtype=image.dtype)
    shares = shares / shares.sum()
    for name, weight in recipe.style_layers.items():
        own = [network(style, [name])[name] for style in styles]
        if style_masks:
            grams = [gram(f, guide(mask, f)) for f, mask in zip(own, style_masks, strict=True)]
        else:
            grams = [gram(f) for f in own]
        if masks:
            guides = [guide(mask, features[name]) for mask in masks]
            means = [(gram(features[name], g) - a).square().mean() for g, a in zip(guides, grams, strict=True)]
            loss = sum(share * mean for share, mean in zip(shares, means, strict=True))
        else:
            blend = sum(share * a for share, a in zip(shares, grams, strict=True))
            loss = (gram(features[name]) - blend).square().mean()
        losses[f"style {name}"] = loss if recipe.formula == "mean" else loss / 4
        objective += recipe.style_weight * weight * losses[f"style {name}"]
    if recipe.total_variation_weight:
        losses["total variation"] = image.diff(dim=2).square().mean() + image.diff(dim=3).square().mean()
        objective += recipe.total_variation_weight * losses["total variation"]
    (gradient,) = torch.autograd.grad(objective, image)
    return {name: loss.item() for name, loss in losses.items()}, objective.item(), gradient


@settings(max_examples=60)
@given(
    pooling=st.sampled_from(["average", "max"]),
    convention=st.sampled_from(["torchvision", "caffe"]),
    formula=st.sampled_from(["mean", "paper"]),
    smoothing=st.sampled_from([0.0, 3.0]),
    style_image_weights=st.sampled_from([(), (1,), (1, 3), (2, 0, 1)]),
    masked=st.booleans(),
    parted=st.booleans(),
    height=st.integers(32, 71),
    width=st.integers(32, 71),
    seed=st.integers(0, 1000),
)
def test_losses_and_gradient_are_the_textbooks(
    tiny_network,
    pooling,
    convention,
    formula,
    smoothing,
    style_image_weights,
    masked,
    parted,
    height,
    width,
    seed,
):
    network = tiny_network(pooling=pooling, convention=convention, seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    recipe = Recipe.preset(
        "transfer",
        content_layers=CONTENT_LAYERS,
        style_layers=STYLE_LAYERS,
        style_image_weights=style_image_weights,
        total_variation_weight=smoothing,
        formula=formula,
        style_statistic="gram",
    )
    image, content = torch.rand(2, 1, 3, height, width, dtype=torch.float64, generator=generator)
    count = len(style_image_weights) or 2
    styles = [torch.rand(1, 3, 40 + n, 53 - n, dtype=torch.float64, generator=generator) for n in range(count)]
    masks = list(torch.rand(count, 1, 1, height, width, dtype=torch.float64, generator=generator)) if masked else []

    parts = [torch.rand(1, 1, *style.shape[2:], dtype=torch.float64, generator=generator) for style in styles]
    style_masks = parts if parted else []

    losses, objective, gradient = textbook(network, recipe, content, styles, masks, style_masks, image)
    found = Objective(network, recipe, Inputs(content, styles, None, masks, style_masks))(image)
    assert found.losses == pytest.approx(losses, rel=1e-10)
    assert found.objective == pytest.approx(objective, rel=1e-10)
    assert relative_error(found.gradient, gradient) < 1e-10


def test_an_objective_can_be_asked_again(tiny_network, random_image):
    network = tiny_network().double()
    images = [random_image(seed=seed).double() for seed in range(4)]
    objective = Objective(network, Recipe.preset("transfer"), Inputs(images[0], [images[1]]))
    first, other, again = (objective(image) for image in (images[2], images[3], images[2]))
    assert first.losses == again.losses != other.losses and torch.equal(first.gradient, again.gradient)


def test_several_styles_have_the_gradient_of_their_weighted_losses(tiny_network, random_image):
    network = tiny_network().double()
    styles = [random_image(40, 40, seed=seed).double() for seed in (1, 2, 3)]
    image, weights = random_image(seed=4).double(), (0.2, 0.5, 0.3)

    def gradient(styles, **fields):
        return Objective(network, Recipe.preset("texture", **fields), Inputs(styles=styles))(image).gradient

    together = gradient(styles, style_image_weights=weights)
    apart = sum(weight * gradient([style]) for weight, style in zip(weights, styles, strict=True))
    assert relative_error(together, apart) < 1e-10


def test_a_mask_that_is_everywhere_changes_nothing(tiny_network, random_image):
    network, recipe = tiny_network().double(), Recipe.preset("texture")
    style, image = random_image(seed=1).double(), random_image(seed=2).double()
    everywhere = torch.ones(1, 1, 48, 64, dtype=torch.float64)
    plain = Objective(network, recipe, Inputs(styles=[style]))(image)
    masked = Objective(network, recipe, Inputs(styles=[style], masks=[everywhere]))(image)
    assert masked.losses == pytest.approx(plain.read().losses, rel=1e-10)
    assert relative_error(masked.gradient, plain.gradient) < 1e-10


def test_of_a_style_only_the_part_in_its_mask_counts(tiny_network, random_image):
    """Half of it, from where no layer sees anything of the other half."""
    network, recipe = tiny_network().double(), Recipe.preset("texture", style_layers="relu1_1,relu2_1")
    left, right, image = (random_image(seed=seed).double() for seed in (1, 2, 3))
    both, part = torch.cat([left, right], 3), torch.zeros(1, 1, 48, 128, dtype=torch.float64)
    part[..., :32] = 1
    for statistic in ("gram", "moments", "wasserstein", "sliced"):
        chosen = recipe.with_(style_statistic=statistic)
        whole = Objective(network, chosen, Inputs(styles=[left], style_masks=[part[..., :64]]))(image)
        found = Objective(network, chosen, Inputs(styles=[both], style_masks=[part]))(image)
        assert found.losses == pytest.approx(whole.read().losses, rel=1e-8)


def test_a_style_whose_mask_is_nowhere_asks_for_nothing(tiny_network, random_image):
    network, recipe = tiny_network().double(), Recipe.preset("texture")
    image, *styles = (random_image(seed=seed).double() for seed in range(3))
    everywhere, nowhere = torch.ones(1, 1, 48, 64, dtype=torch.float64), torch.zeros(1, 1, 48, 64, dtype=torch.float64)
    alone = Objective(network, recipe, Inputs(styles=styles[:1], masks=[everywhere]))(image)
    found = Objective(network, recipe, Inputs(styles=styles, masks=[everywhere, nowhere]))(image)
    # Each of two styles has half the weight, and a loss is given as the mean of both.
    assert found.losses == pytest.approx({name: float(loss) / 2 for name, loss in alone.losses.items()}, rel=1e-10)
    assert relative_error(found.gradient, alone.gradient / 2) < 1e-10
    nothing = Objective(network, recipe, Inputs(styles=styles[:1], masks=[nowhere]))(image)
    assert nothing.objective == 0 and not nothing.gradient.any()


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_bfloat16_gives_nearly_the_same_gradient(tiny_network, random_image, pooling):
    network = tiny_network(pooling=pooling, widths=(16, 16, 16, 16, 16))
    recipe, style, image = Recipe.preset("texture"), random_image(seed=1), random_image(seed=2)
    exact = Objective(network, recipe, Inputs(styles=[style]))(image).gradient
    rough = Objective(network.bfloat16(), recipe, Inputs(styles=[style]))(image).gradient
    assert rough.dtype == torch.float32
    cosine = F.cosine_similarity(exact.flatten(), rough.flatten(), dim=0)
    assert cosine > (0.97 if pooling == "average" else 0.9)


def test_layers_of_weight_zero_are_not_computed(tiny_network, random_image):
    """``relu5_1`` would need 16 pixels."""
    recipe = Recipe.preset("texture", style_layers={"relu1_1": 1.0, "relu5_1": 0.0})
    found = Objective(tiny_network(), recipe, Inputs(styles=[random_image(8, 8)]))(random_image(8, 8, seed=1))
    assert list(found.losses) == ["style relu1_1"]


def test_it_says_what_computes(tiny_network, random_image):
    assert (
        Objective(tiny_network(), Recipe.preset("texture"), Inputs(styles=[random_image()])).runs_on == "PyTorch on cpu"
    )


@pytest.mark.parametrize(
    ("content", "styles", "masks", "fields", "sentence"),
    [
        (False, 1, 0, {}, "A transfer needs a content image: name one."),
        (True, 0, 0, {}, "A transfer needs a style image: name at least one."),
        (True, 1, 0, {"style_image_weights": (1, 2)}, "There are 1 style images but 2 weights: give one for each."),
        (True, 2, 1, {}, "There are 2 style images but 1 masks: give one for each."),
        (True, 1, 0, {"style_layers": {"relu6_1": 1}}, "Unknown layer 'relu6_1' of vgg19: did you mean"),
    ],
)
def test_mistakes_are_told_in_a_sentence(tiny_network, random_image, content, styles, masks, fields, sentence):
    with pytest.raises(ToolkitError) as error:
        Objective(
            tiny_network(),
            Recipe.preset("transfer", **fields),
            Inputs(
                random_image() if content else None,
                [random_image()] * styles,
                masks=[torch.ones(1, 1, 48, 64)] * masks,
            ),
        )
    assert str(error.value).startswith(sentence)


def test_a_style_mask_that_leaves_nothing_is_refused(tiny_network, random_image):
    texture, styles, dark = Recipe.preset("texture"), [random_image()] * 2, torch.zeros(1, 1, 48, 64)
    for masks, sentence in (
        ([dark + 1], "There are 2 style images but 1 style masks: give one for each."),
        ([dark + 1, dark], "Style mask 2 is black: make the part of the style image that counts bright."),
    ):
        with pytest.raises(ToolkitError, match=sentence):
            Objective(tiny_network(), texture, Inputs(styles=styles, style_masks=masks))
    with pytest.raises(ToolkitError, match="too small or too dark for the sliced statistic"):
        sliced = texture.with_(style_statistic="sliced")
        Objective(tiny_network(), sliced, Inputs(styles=styles, style_masks=[dark + 0.1] * 2))


def test_an_image_too_small_for_the_deepest_layer_is_refused(tiny_network, random_image):
    objective = Objective(tiny_network(), Recipe.preset("texture"), Inputs(styles=[random_image()]))
    with pytest.raises(ToolkitError, match="An image of 15 x 40 pixels is too small for relu5_1: use at least 16 x 16"):
        objective(random_image(40, 15))


@pytest.fixture(scope="module")
def absent():
    """Within it there is a GPU of shapes alone, which refuses to be waited for."""
    return FakeTensorMode()


class OnlyOn(TorchDispatchMode):
    """Within it every operation takes and gives tensors of one device: what comes from another is waited for."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        devices = {each.device for each in tree_leaves([args, kwargs, made]) if isinstance(each, torch.Tensor)}
        assert devices <= {self.device}, function
        return made


@pytest.mark.parametrize(("masks", "pooling"), [(0, "average"), (2, "max")])
@pytest.mark.parametrize("statistic", sorted({*get_args(StatisticName)} - {"wasserstein"}))  # its roots are the CPU's
def test_a_gpu_is_not_waited_for_within_an_evaluation(tiny_network, absent, statistic, masks, pooling, monkeypatch):
    network, gpu = tiny_network(pooling=pooling), torch.device("cuda", 7)
    with absent:
        for convolution in network.convolutions.values():
            for name, own in list(convolution.named_parameters()):
                setattr(convolution, name, torch.nn.Parameter(torch.empty(own.shape, device=gpu), False))
        image = torch.empty(1, 3, 64, 48, device=gpu)
        recipe = Recipe.preset("transfer", style_statistic=statistic)
        inputs = Inputs(image, [image, image], [torch.empty(1, 1, 64, 48, device=gpu)] * masks)
        objective = Objective(network, recipe, inputs)
        monkeypatch.setattr("toolkit.synthesis.targets.find_candidates", lambda *_: torch.empty(9, 18, device=gpu))
        objective.match(image)
        objective(image)  # the first one may keep what it needs on the device
        with OnlyOn(gpu):
            evaluation = objective(image)
        assert "neighbours" in evaluation.losses
        with pytest.raises(DataDependentOutputException):  # as it would be above if anything waited
            evaluation.read()
