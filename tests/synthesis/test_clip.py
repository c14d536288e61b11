"""Clips: the temporal loss by autograd, and frames that follow from the one before."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from toolkit.synthesis import Inputs, Objective, Recipe, find_targets
from toolkit.synthesis.clip import ClipSynthesis, following
from toolkit.synthesis.image_losses import Temporal
from toolkit.synthesis.pyramid import stages

pytest.importorskip("cv2")


def texture(height, width, seed):
    noise = torch.rand(1, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)


def recipe(**fields):
    return Recipe.preset("transfer", **{"size": 64, "iterations": 20, **fields})


def paint(clip, inputs, **towards):
    kind = clip.show(inputs, **towards)
    if kind != "still":
        synthesis = clip.synthesis()
        for _ in synthesis:
            pass
        clip.keep(synthesis.image)
        return kind, synthesis
    return kind, None


def frames(count=3, step=2):
    wide = texture(48, 96, 1)
    return [Inputs(wide[..., step * n : 64 + step * n], [texture(64, 64, 2)]) for n in range(count)]


def test_the_temporal_loss_is_its_formula_and_autograds_gradient(random_image):
    image, target, certain = random_image(6, 8).requires_grad_(), random_image(6, 8, 1), random_image(6, 8, 2)[:, :1]
    value, gradient = Temporal(3.0, target, certain)(image.detach())
    expected = (certain * (image - target) ** 2).mean()
    (3 * expected).backward()
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient, image.grad)


def test_targets_of_the_same_style_images_are_taken_again(tiny_network, random_image):
    network, style = tiny_network(), random_image(seed=3)
    first, second = (Inputs(random_image(seed=n), [style], masks=[random_image(seed=n)[:, :1]]) for n in (1, 2))
    before = Objective(network, recipe(), first)
    before.match(first.content)
    anew, again = Objective(network, recipe(), second), Objective(network, recipe(), second, before.targets)
    assert again.targets.summaries is before.targets.summaries
    for objective in (anew, again):
        objective.match(second.content)
    assert again.targets.candidates is before.targets.candidates
    one, other = anew(first.content), again(first.content)
    torch.testing.assert_close(one.objective, other.objective)
    torch.testing.assert_close(one.gradient, other.gradient)
    assert find_targets(network, recipe(), second, known=before.targets).matches == ()


def test_frames_are_a_scene_then_next_or_still_and_cuts_begin_anew(tiny_network):
    clip = ClipSynthesis(tiny_network(), recipe())
    first, second, _ = frames()
    kinds = []
    for inputs in (first, first, second, second, Inputs(texture(48, 64, 7), first.styles)):
        kind, synthesis = paint(clip, inputs)
        kinds.append(kind)
        assert synthesis is None or synthesis.iteration <= {"scene": 20, "next": 4}[kind]
    assert kinds == ["scene", "still", "next", "still", "scene"]


def test_frames_hold_on_to_one_another_the_more_the_weight(tiny_network):
    errors = []
    for weight in (0.0, 1e-3, 1e5):
        clip, images = ClipSynthesis(tiny_network(), recipe(), temporal_weight=weight), []
        for inputs in frames():
            _, synthesis = paint(clip, inputs)
            images.append(synthesis.image)
        pairs = itertools.pairwise(images)
        moved = [(after[..., :-8] - before[..., 2:-6]).square().mean() for before, after in pairs]
        errors.append(float(torch.stack(moved).mean()))
    assert errors[0] > errors[1] > errors[2]


def test_a_square_that_moves_fast_does_not_smear(tiny_network):
    """What it has left is painted as what is there now: no trace of the painted square stays."""
    ground = 0.5 + 0.1 * texture(48, 64, 1)
    clip = ClipSynthesis(
        tiny_network(), recipe(style_weight=0, finish=0, total_variation_weight=0), temporal_weight=1e4
    )
    for right in (4, 40):
        image = ground.clone()
        image[..., 16:32, right : right + 16] = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1)
        kind, synthesis = paint(clip, Inputs(image, [ground]))
    assert kind == "next"
    wanted, found = image, synthesis.image
    assert (wanted - found)[..., 16:32, 4:20].abs().mean() < 0.1
    assert (wanted - found)[..., 16:32, 40:56].abs().mean() < 0.1


@pytest.mark.parametrize("colour", ["luminance", "covariance", "histogram"])
def test_colours_of_a_scene_are_those_of_its_first_frame(tiny_network, colour):
    clip = ClipSynthesis(tiny_network(), recipe(colour=colour))
    (_, first), (_, second), (_, third) = (paint(clip, inputs) for inputs in frames())
    assert [each.image.shape for each in (first, second, third)] == [(1, 3, 48, 64)] * 3
    assert all(one is other for one, other in zip(second.inputs.styles, third.inputs.styles, strict=True))


def test_what_goes_on_from_a_painted_frame_is_the_same_as_in_one_go(tiny_network):
    through, images = ClipSynthesis(tiny_network(), recipe(colour="covariance")), []
    for inputs in frames(4):
        images.append(paint(through, inputs)[1].image)
    resumed = ClipSynthesis(tiny_network(), recipe(colour="covariance"))
    for inputs, image in list(zip(frames(4), images, strict=True))[:2]:
        resumed.show(inputs)
        resumed.keep(image)
    for inputs, image in list(zip(frames(4), images, strict=True))[2:]:
        assert torch.equal(paint(resumed, inputs)[1].image, image)


def test_a_frame_may_be_led_towards_an_image(tiny_network):
    clip, far = ClipSynthesis(tiny_network(), recipe(), temporal_weight=1e5), torch.zeros(1, 3, 48, 64)
    first, second, third = frames()
    paint(clip, first)
    half = paint(clip, second, towards=far, share=0.5)[1].image.mean()
    assert paint(clip, third, towards=far, share=1.0)[1].image.mean() < 0.5 * half


@pytest.mark.parametrize("fields", [{"finish": 1.0, "size": 256}, {"finish": 0.0, "size": 256}, {"size": 64}])
def test_a_frame_that_follows_has_the_finest_level_alone(fields):
    whole = stages(recipe(iterations=76, **fields), (3, 4), False)
    short = following(whole, 15)
    assert {stage.size for stage in short} == {whole[-1].size}
    assert 13 <= sum(stage.iterations for stage in short) <= 17
    assert all(stage.with_finish for stage in short) == (fields.get("finish", 1.0) > 0)


def test_tiles_and_masks_paint_frames_as_well(tiny_network):
    first, second, _ = (Inputs(each.content, each.styles, masks=[each.content[:, :1]]) for each in frames())
    clip = ClipSynthesis(tiny_network(), recipe(), memory=1.15e9)
    assert [paint(clip, inputs)[0] for inputs in (first, second)] == ["scene", "next"]
