"""L-BFGS goes the way of PyTorch's, within rounding, and keeps no more than it may."""

import itertools
import math
import os
import tempfile

import pytest
import torch

from toolkit.errors import ToolkitError
from toolkit.images.io import example_photographs
from toolkit.network import load_network
from toolkit.storage import Storage
from toolkit.synthesis import Recipe, Synthesis, optimizers
from toolkit.synthesis.curvature import CurvaturePairs
from toolkit.synthesis.objective import Evaluation, Objective
from toolkit.synthesis.optimizers import LBFGS, Adam
from toolkit.synthesis.preconditioner import Preconditioner


@pytest.fixture
def objective(tiny_network, random_image):
    content, style = (random_image(40, 48, seed=seed).double() for seed in range(2))
    return Objective(tiny_network().double(), Recipe.preset("transfer"), content, [style])


def unchanged(vector):
    return vector


@pytest.mark.parametrize("history", [5, 60])
def test_it_goes_the_way_of_pytorchs(objective, random_image, monkeypatch, history):
    monkeypatch.setattr(LBFGS, "HISTORY", history)
    monkeypatch.setattr(Preconditioner, "__call__", lambda self, vector: vector)  # PyTorch's knows of none,
    monkeypatch.setattr(LBFGS, "RISE", math.inf)  # nor does it take steps back
    monkeypatch.setattr(optimizers, "RANGE", (-math.inf, math.inf))  # or stay within a range
    start = random_image(40, 48, seed=2).double()
    ours, theirs = LBFGS(start.clone()), start.clone()
    scale = 1 / objective(start).gradient.abs().mean()
    pytorchs = torch.optim.LBFGS(
        [theirs],
        lr=LBFGS.FIRST_STEP * theirs.numel(),
        max_iter=1,
        history_size=history,
        tolerance_grad=0,
        tolerance_change=0,
    )
    for _ in range(40):
        evaluation = objective(theirs)
        theirs.grad = (evaluation.gradient * scale).contiguous()
        pytorchs.step(lambda: evaluation.objective)  # noqa: B023  # called at once
        pytorchs.param_groups[0]["lr"] = 1.0
        assert ours.step(objective).objective == pytest.approx(evaluation.objective, rel=1e-6)
        torch.testing.assert_close(ours.image, theirs, rtol=0, atol=1e-5)
    assert evaluation.objective < 0.5 * objective(start).objective


def test_the_direction_solves_a_quadratic_whose_curvature_it_knows():
    curvatures = torch.tensor([1.0, 2.0, 5.0, 10.0], dtype=torch.float64)
    pairs = CurvaturePairs(4, torch.zeros(4, dtype=torch.float64), unchanged)
    for step in torch.eye(4, dtype=torch.float64):
        pairs.add(step, curvatures * step)
    gradient = torch.tensor([3.0, -1.0, 2.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(pairs.direction(gradient.clone()), -gradient / curvatures)


def test_the_direction_is_that_of_the_updated_matrix():
    """Against the inverse Hessian written out (Nocedal & Wright 2006, equation 7.16)."""
    torch.manual_seed(0)
    image = torch.zeros(1, 3, 4, 5, dtype=torch.float64)
    n, guess = image.numel(), Preconditioner(image)
    root = torch.randn(n, n, dtype=torch.float64)
    hessian = root @ root.mT / n + torch.eye(n)
    pairs = CurvaturePairs(3, image.flatten(), guess)
    steps = torch.randn(3, n, dtype=torch.float64)
    for step in steps:
        pairs.add(step, hessian @ step)
    last = hessian @ steps[-1]
    inverse = (
        torch.stack([guess(row) for row in torch.eye(n, dtype=torch.float64)]) * (steps[-1] @ last) / (last @ last)
    )
    for step in steps:
        change = hessian @ step
        away = torch.eye(n) - torch.outer(change, step) / (change @ step)
        inverse = away.mT @ inverse @ away + torch.outer(step, step) / (change @ step)
    gradient = torch.randn(n, dtype=torch.float64)
    torch.testing.assert_close(pairs.direction(gradient.clone()), -inverse @ gradient)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 9), (16, 5)])
def test_the_guess_weighs_every_frequency_and_keeps_every_inner_product_symmetric(height, width):
    image = torch.zeros(1, 3, height, width, dtype=torch.float64)
    guess = Preconditioner(image)
    rows, columns = (torch.arange(length, dtype=torch.float64) for length in (height, width))
    for up, across in ((0, 0), (1, 0), (2, 1), (3, 2)):
        wave = torch.cos(2 * torch.pi * (up * rows[:, None] / height + across * columns / width)).expand(3, -1, -1)
        frequency = ((up / height) ** 2 + (across / width) ** 2) ** 0.5
        gain = (4 * ((frequency**2 + 0.004**2) ** -2 + 0.2**-4) ** -0.25) ** -0.7
        torch.testing.assert_close(guess(wave.flatten().clone()), gain * wave.flatten())
    one, other = torch.randn(2, image.numel(), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one @ guess(other.clone()), guess(one.clone()) @ other)
    assert one @ guess(one.clone()) > 0


@pytest.mark.parametrize("capacity", [1, 2, 5])
def test_pairs_in_bfloat16_lead_nearly_where_exact_ones_do(capacity):
    generator = torch.Generator().manual_seed(0)
    size = 3000
    curvatures = torch.rand(size, generator=generator) + 0.1
    exact, rounded = (
        CurvaturePairs(capacity, curvatures, unchanged, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)
    )
    for _ in range(capacity + 2):
        step = torch.randn(size, generator=generator)
        for pairs in (exact, rounded):
            pairs.add(step, curvatures * step)
    gradient = torch.randn(size, generator=generator)
    expected, found = (pairs.direction(gradient.clone()) for pairs in (exact, rounded))
    assert found.dtype == torch.float32 and rounded.state()["pairs"][0][0].dtype == torch.bfloat16
    assert 0 < (found - expected).norm() < 0.01 * expected.norm()


def test_a_pair_along_which_nothing_curves_upwards_is_passed_over():
    pairs = CurvaturePairs(4, torch.zeros(3), unchanged)
    pairs.add(torch.ones(3), -torch.ones(3))
    pairs.add(torch.ones(3), torch.zeros(3))
    assert pairs.state()["pairs"] == []
    gradient = torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(pairs.direction(gradient.clone()), -gradient)


def test_the_oldest_pair_gives_way():
    pairs = CurvaturePairs(2, torch.zeros(3), unchanged)
    for length in (1.0, 2.0, 3.0):
        pairs.add(torch.full((3,), length), torch.ones(3))
    assert [step[0].item() for step, _ in pairs.state()["pairs"]] == [2.0, 3.0]


@pytest.mark.parametrize("capacity", [2, 3, 5])
def test_pairs_are_restored_where_more_or_fewer_fit(capacity):
    torch.manual_seed(0)
    known, expected, found = (CurvaturePairs(size, torch.zeros(20), unchanged) for size in (3, capacity, capacity))
    curvatures, steps = torch.rand(20) + 0.1, torch.randn(5, 20)
    for step in steps:
        known.add(step, curvatures * step)
    for step in steps[-min(3, capacity) :]:
        expected.add(step, curvatures * step)
    found.restore(known.state())
    for step in torch.randn(3, 20):
        gradient = torch.randn(20)
        torch.testing.assert_close(found.direction(gradient.clone()), expected.direction(gradient.clone()))
        for pairs in (found, expected):
            pairs.add(step, curvatures * step)


def test_no_step_leaps_and_so_none_has_to_come_back():
    """Without the bound this one still stands at 78 % after thirty evaluations."""
    content, style = (example_photographs()[name] for name in ("chelsea", "astronaut"))
    recipe = Recipe.preset("transfer", size=64, evaluations=30, levels=1, style_layers={"relu1_1": 1.0})
    synthesis = Synthesis(load_network("vgg19-small"), recipe, content=content, styles=[style])
    images, objectives = [synthesis._optimizer.image.clone()], []
    for progress in synthesis:
        objectives.append(progress.objective)
        images.append(synthesis._optimizer.image.clone())
    steps = [float((after - before).abs().mean()) for before, after in itertools.pairwise(images)]
    assert 0.5 * LBFGS.LARGEST_STEP < max(steps) <= 1.001 * LBFGS.LARGEST_STEP
    assert min(objectives) < 0.01 * objectives[0]


def test_a_step_that_leads_far_up_is_taken_back_and_what_it_met_made_use_of(monkeypatch):
    monkeypatch.setattr(LBFGS, "FIRST_STEP", 10.0)
    monkeypatch.setattr(optimizers, "RANGE", (-math.inf, math.inf))
    goal, curvature = torch.rand(2, 1, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    images = []

    def quadratic(image):
        images.append(image.clone())
        gradient = (1 + curvature) * (image - goal)
        return Evaluation(float((gradient * (image - goal)).sum() / 2), {}, gradient)

    optimizer = LBFGS(torch.zeros_like(goal))
    objectives = [optimizer.step(quadratic).objective for _ in range(12)]
    assert objectives[1] > LBFGS.RISE * objectives[0]
    assert (images[2] - images[0]).abs().mean() <= LBFGS.FIRST_STEP / 2
    assert objectives[2] < objectives[1] and objectives[-1] < 1e-3 * objectives[0]


def test_where_no_step_leads_to_a_number_it_says_so_and_keeps_the_best():
    start = torch.full((1, 3, 4, 4), 0.5)
    optimizer = LBFGS(start.clone())

    def evaluate(image):
        objective = 1.0 if torch.equal(image, start) else math.nan
        return Evaluation(objective, {}, torch.full_like(image, objective))

    with pytest.raises(ToolkitError, match="The optimisation diverged"):
        for _ in range(100):
            optimizer.step(evaluate)
    assert torch.equal(optimizer.best, start)


def test_it_finds_the_least_within_the_range():
    """Of a quadratic that couples its values, by the conditions for a least one (Karush, Kuhn & Tucker)."""
    generator = torch.Generator().manual_seed(0)
    goal = torch.randn(1, 3, 6, 5, dtype=torch.float64, generator=generator) + 0.5
    root = torch.randn(goal.numel(), goal.numel(), dtype=torch.float64, generator=generator)
    hessian = root @ root.mT / goal.numel() + torch.eye(goal.numel())

    def quadratic(image):
        gradient = hessian @ (image - goal).flatten()
        return Evaluation(float(gradient @ (image - goal).flatten() / 2), {}, gradient.view_as(image))

    optimizer = LBFGS(torch.full_like(goal, 0.5))
    for _ in range(200):
        optimizer.step(quadratic)
        assert optimizer.image.min() >= 0 and optimizer.image.max() <= 1
    least, gradient = optimizer.best.flatten(), quadratic(optimizer.best).gradient.flatten()
    below, above = least <= 0, least >= 1
    assert below.any() and above.any() and not (below | above).all()
    assert gradient[~(below | above)].abs().max() < 1e-4 * gradient.abs().max()
    assert (gradient[below] > -1e-6).all() and (gradient[above] < 1e-6).all()


def test_where_the_gradient_vanishes_it_stays(objective, random_image):
    image = random_image(40, 48).double()
    evaluation = objective(image)
    optimizer = LBFGS(image.clone())
    for _ in range(3):
        object.__setattr__(evaluation, "gradient", torch.zeros_like(image))
        optimizer.step(lambda _: evaluation)
    assert torch.equal(optimizer.image, image)


def test_adam_goes_the_way_of_pytorchs_and_hands_over_the_average(objective, random_image):
    start, iterates = random_image(40, 48, seed=2).double(), []
    optimizer, theirs = Adam(start.clone()), start.clone()
    pytorchs = torch.optim.Adam([theirs], Adam.STEP_SIZE, foreach=False)
    for _ in range(30):
        theirs.grad = objective(theirs).gradient
        pytorchs.step()
        theirs.clamp_(0, 1)
        optimizer.step(objective)
        iterates.append(optimizer.image.clone())
    torch.testing.assert_close(optimizer.image, theirs, rtol=0, atol=1e-6)
    weights = 0.99 ** torch.arange(29, -1, -1, dtype=torch.float64)
    average = sum(w * image for w, image in zip(weights / weights.sum(), iterates, strict=True))
    torch.testing.assert_close(optimizer.best, average, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "exact", "rounded"), [(17, 5, 10), (24, 8, 17), (1000, LBFGS.HISTORY, LBFGS.HISTORY)]
)
def test_memory_limits_the_history(images, exact, rounded, monkeypatch):
    image = torch.zeros(1, 3, 8, 8)
    for native, pairs in ((False, exact), (True, rounded)):
        monkeypatch.setattr(optimizers, "native_bfloat16", lambda device, native=native: native)
        optimizer = LBFGS(image, images * image.nbytes)
        assert optimizer.history == pairs
        assert optimizer.nbytes <= images * image.nbytes


@pytest.mark.parametrize(
    ("evaluations", "images", "pairs", "on_disk"),
    [
        (1, 1000, 1, False),
        (7, 1000, 4, False),
        (45, 1000, 23, False),
        (300, 1000, LBFGS.HISTORY, False),
        (45, 24, 17, False),
        (45, 8, LBFGS.FEW, True),
        (4, 8, 2, True),
        (4, 9, 2, False),
    ],
)
def test_few_evaluations_to_come_want_a_short_history(evaluations, images, pairs, on_disk, monkeypatch):
    monkeypatch.setattr(optimizers, "native_bfloat16", lambda device: True)
    image = torch.zeros(1, 3, 8, 8)
    optimizer = LBFGS(image, images * image.nbytes, evaluations=evaluations)
    assert (optimizer.history, optimizer._storage.on_disk) == (pairs, on_disk)
    assert optimizer.nbytes <= images * image.nbytes


def with_ample_and_little_memory(kind, start, evaluate, steps):
    """Two optimizers that went as far, and one that went on from the second's state after so many steps."""
    ample, short, anew = (kind(start.clone(), memory) for memory in (None, 4 * start.nbytes, 4 * start.nbytes))
    for _ in range(steps):
        ample.step(evaluate)
        short.step(evaluate)
    anew.restore(short.state())
    for _ in range(5):
        for optimizer in (ample, short, anew):
            optimizer.step(evaluate)
    return ample, short, anew


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_with_little_memory_lbfgs_is_on_disk_and_goes_the_same_way(
    objective, random_image, tmp_path, monkeypatch, dtype
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(optimizers, "native_bfloat16", lambda device: True)
    monkeypatch.setattr(LBFGS, "HISTORY", LBFGS.FEW)
    monkeypatch.setattr(Storage, "PIECE", 1000)
    start = random_image(40, 48, seed=2).to(dtype)

    def evaluate(image):
        evaluation = objective(image.double())
        return Evaluation(evaluation.objective, evaluation.losses, evaluation.gradient.to(dtype))

    ample, short, anew = with_ample_and_little_memory(LBFGS, start, evaluate, steps=10)
    assert (ample.history, short.history) == (LBFGS.FEW, LBFGS.FEW)
    assert short.nbytes == 2 * start.nbytes < ample.nbytes
    # What is added up in pieces is rounded otherwise, in bfloat16 to eight bits.
    error = 1e-9 if dtype == torch.float64 else 0.01
    assert torch.equal(short.image, anew.image) and torch.equal(short.best, anew.best)
    torch.testing.assert_close(short.image, ample.image, rtol=0, atol=error)
    torch.testing.assert_close(short.best, ample.best, rtol=0, atol=error)
    assert not list(tmp_path.glob("toolkit-*"))


def test_with_little_memory_adam_is_on_disk_and_goes_the_same_way(objective, random_image, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    start = random_image(40, 48, seed=2).double()
    ample, short, anew = with_ample_and_little_memory(Adam, start, objective, steps=5)
    assert (ample.nbytes, short.nbytes) == (5 * start.nbytes, 2 * start.nbytes)
    for optimizer in (short, anew):
        assert torch.equal(optimizer.image, ample.image) and torch.equal(optimizer.best, ample.best)
    assert not list(tmp_path.glob("toolkit-*"))


def test_no_room_on_disk_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    image = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ToolkitError, match=r"no room for 0\.0 GB .* name another folder by TMPDIR"):
        Adam(image, image.nbytes)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system does not reserve room on disk")
def test_a_full_disk_is_told_beforehand_and_left_as_it_was(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    image = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ToolkitError, match="There is no room for"):
        Adam(image, image.nbytes)
    assert not list(tmp_path.glob("toolkit-*"))
