"""L-BFGS goes the way of PyTorch's, within rounding, stays within its bounds, and resumes bit by bit."""

import copy
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.optimize import LBFGS, DivergedError, Evaluation
from toolkit.optimize.lbfgs import CurvaturePairs
from toolkit.synthesis import Inputs, Objective, Recipe
from toolkit.synthesis.preconditioner import Preconditioner

ENDLESS = (-math.inf, math.inf)


class Plain(LBFGS):
    """It takes no step back."""

    RISE = math.inf


@pytest.fixture
def objective(tiny_network, random_image):
    content, style = (random_image(40, 48, seed=seed).double() for seed in range(2))
    return Objective(
        tiny_network().double(), Recipe.preset("transfer", total_variation_weight=0.0), Inputs(content, [style])
    )


def quadratic(goal, hessian):
    """(x - goal)ᵀ H (x - goal) / 2, of a matrix or of a diagonal."""

    def evaluate(point):
        difference = (point - goal).flatten()
        diagonal = hessian.shape == point.shape
        gradient = hessian.flatten() * difference if diagonal else hessian @ difference
        return Evaluation(gradient @ difference / 2, {}, gradient.view_as(point))

    return evaluate


def positive(size, seed=0):
    """A positive definite matrix."""
    root = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return root @ root.mT / size + torch.eye(size, dtype=torch.float64)


@pytest.mark.parametrize("pairs", [5, 60])
def test_it_goes_the_way_of_pytorchs(objective, random_image, pairs):
    theirs = random_image(40, 48, seed=2).double()
    point = theirs.clone()
    ours = Plain(point, pairs, bounds=ENDLESS)
    first = objective(theirs)
    scale, largest = 1 / first.gradient.abs().mean(), 0.0
    pytorchs = torch.optim.LBFGS(
        [theirs],
        lr=LBFGS.FIRST_STEP * theirs.numel(),
        max_iter=1,
        history_size=pairs,
        tolerance_grad=0,
        tolerance_change=0,
    )
    for _ in range(40):
        before = theirs.clone()
        evaluation = objective(theirs)
        theirs.grad = (evaluation.gradient * scale).contiguous()
        pytorchs.step(lambda: evaluation.objective)  # noqa: B023  # called at once
        pytorchs.param_groups[0]["lr"] = 1.0
        assert ours.step(objective).objective == pytest.approx(float(evaluation.objective), rel=1e-6)
        torch.testing.assert_close(point, theirs, rtol=0, atol=1e-5)
        largest = max(largest, float((theirs - before).abs().mean()))
    assert evaluation.objective < 0.5 * first.objective
    assert largest < LBFGS.LARGEST_STEP  # or ours would have gone another way


def test_it_finds_the_least_of_a_quadratic():
    goal = torch.rand(30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    optimizer = LBFGS(torch.zeros(30, dtype=torch.float64), bounds=ENDLESS)
    evaluate = quadratic(goal, positive(30))
    for _ in range(60):
        optimizer.step(evaluate)
    torch.testing.assert_close(optimizer.best, goal, rtol=0, atol=1e-6)


def test_it_changes_its_start_in_place_and_gives_what_was_evaluated():
    point = torch.zeros(2, 3, dtype=torch.float64)
    optimizer, shown = LBFGS(point), []
    evaluate = quadratic(torch.full((2, 3), 0.5, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64))

    def recorded(at):
        shown.append(at.clone())
        return evaluate(at)

    found = [optimizer.step(recorded) for _ in range(3)]
    assert not shown[0].any() and not torch.equal(point, shown[-1])
    assert [each.objective for each in found] == [float(evaluate(at).objective) for at in shown]
    assert torch.equal(optimizer.best, shown[-1])


def test_the_best_is_the_evaluated_point_of_least_objective_not_the_last():
    shown, objectives = [], iter([3.0, 1.0, 2.0])

    def evaluate(point):
        shown.append(point.clone())
        return Evaluation(torch.tensor(next(objectives)), {}, torch.ones_like(point))

    optimizer = LBFGS(torch.full((1, 3, 2, 2), 0.5))
    for _ in range(3):
        optimizer.step(evaluate)
    assert torch.equal(optimizer.best, shown[1]) and not torch.equal(shown[1], shown[2])


def test_the_direction_solves_a_quadratic_whose_curvature_it_knows():
    curvatures = torch.tensor([1.0, 2.0, 5.0, 10.0], dtype=torch.float64)
    pairs = CurvaturePairs(4, torch.zeros(4, dtype=torch.float64))
    for step in torch.eye(4, dtype=torch.float64):
        pairs.add(step, curvatures * step)
    gradient = torch.tensor([3.0, -1.0, 2.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(pairs.direction(gradient.clone()), -gradient / curvatures)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_the_direction_is_that_of_the_updated_matrix(number):
    """Against the inverse Hessian written out (Nocedal & Wright 2006, equation 7.16); the oldest pairs give way."""
    generator = torch.Generator().manual_seed(number)
    image = torch.zeros(1, 3, 4, 5, dtype=torch.float64)
    size, guess = image.numel(), Preconditioner(image)
    hessian = positive(size)
    pairs = CurvaturePairs(3, image.flatten(), guess)
    steps = torch.randn(number, size, dtype=torch.float64, generator=generator)
    for step in steps:
        pairs.add(step, hessian @ step)
    last, identity = hessian @ steps[-1], torch.eye(size, dtype=torch.float64)
    inverse = torch.stack([guess(row) for row in identity.clone()]) * (steps[-1] @ last) / (last @ last)
    for step in steps[-3:]:
        change = hessian @ step
        away = identity - torch.outer(change, step) / (change @ step)
        inverse = away.mT @ inverse @ away + torch.outer(step, step) / (change @ step)
    gradient = torch.randn(size, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(pairs.direction(gradient.clone()), -inverse @ gradient)


@pytest.mark.parametrize("capacity", [1, 2, 5])
def test_pairs_in_bfloat16_lead_nearly_where_exact_ones_do(capacity):
    generator = torch.Generator().manual_seed(0)
    size = 3000
    curvatures = torch.rand(size, generator=generator) + 0.1
    exact, rounded = (CurvaturePairs(capacity, curvatures, dtype=dtype) for dtype in (None, torch.bfloat16))
    for _ in range(capacity + 2):
        step = torch.randn(size, generator=generator)
        for pairs in (exact, rounded):
            pairs.add(step, curvatures * step)
    gradient = torch.randn(size, generator=generator)
    expected, found = (pairs.direction(gradient.clone()) for pairs in (exact, rounded))
    assert found.dtype == torch.float32 and rounded.state()["steps"][0].dtype == torch.bfloat16
    assert 0 < (found - expected).norm() < 0.01 * expected.norm()


def test_a_pair_along_which_nothing_curves_upwards_is_passed_over():
    pairs = CurvaturePairs(4, torch.zeros(3))
    pairs.add(torch.ones(3), -torch.ones(3))
    pairs.add(torch.ones(3), torch.zeros(3))
    assert pairs.state()["steps"] == pairs.state()["changes"] == []
    gradient = torch.tensor([1.0, 2.0, 3.0])
    assert torch.equal(pairs.direction(gradient.clone()), -gradient)


def test_the_oldest_pair_gives_way():
    pairs = CurvaturePairs(2, torch.zeros(3))
    for length in (1.0, 2.0, 3.0):
        pairs.add(torch.full((3,), length), torch.ones(3))
    assert [step[0].item() for step in pairs.state()["steps"]] == [2.0, 3.0]


@pytest.mark.parametrize("capacity", [2, 3, 5])
def test_pairs_are_restored_where_more_or_fewer_fit(capacity):
    generator = torch.Generator().manual_seed(0)
    known, expected, found = (CurvaturePairs(size, torch.zeros(20)) for size in (3, capacity, capacity))
    curvatures, steps = torch.rand(20, generator=generator) + 0.1, torch.randn(5, 20, generator=generator)
    for step in steps:
        known.add(step, curvatures * step)
    for step in steps[-min(3, capacity) :]:
        expected.add(step, curvatures * step)
    found.restore(known.state())
    for step in torch.randn(3, 20, generator=generator):
        gradient = torch.randn(20, generator=generator)
        torch.testing.assert_close(found.direction(gradient.clone()), expected.direction(gradient.clone()))
        for pairs in (found, expected):
            pairs.add(step, curvatures * step)


def test_no_step_is_larger_than_it_may():
    """Along a slope that hardly curves the step by curvature alone would leap."""

    def evaluate(point):
        return Evaluation((point + 5e-4 * point.square()).sum(), {}, 1 + 1e-3 * point)

    point = torch.full((40,), 0.0, dtype=torch.float64)
    optimizer, points = LBFGS(point, bounds=ENDLESS), [point.clone()]
    for _ in range(10):
        optimizer.step(evaluate)
        points.append(point.clone())
    steps = [float((after - before).abs().mean()) for before, after in itertools.pairwise(points)]
    assert steps[0] == pytest.approx(LBFGS.FIRST_STEP)
    assert max(steps) == pytest.approx(LBFGS.LARGEST_STEP)


def test_a_step_that_leads_far_up_is_taken_back_and_what_it_met_made_use_of():
    goal, curvature = torch.rand(2, 1, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    curvature[..., 0] = 1e4  # the first step, of one size for all, leaps far over these
    evaluate, shown = quadratic(goal, 1 + curvature), []

    def recorded(point):
        shown.append(point.clone())
        return evaluate(point)

    start = goal + 1e-3
    optimizer = LBFGS(start, bounds=ENDLESS)
    objectives = [optimizer.step(recorded).objective for _ in range(12)]
    assert objectives[1] > LBFGS.RISE * objectives[0]
    assert (shown[2] - shown[0]).abs().mean() <= (shown[1] - shown[0]).abs().mean() / 2 * (1 + 1e-9)
    assert objectives[2] < objectives[1] and min(objectives) < 0.1 * objectives[0]


def test_half_a_step_is_taken_where_a_whole_one_led_to_no_number():
    evaluate, shown = quadratic(torch.full((30,), 0.7, dtype=torch.float64), positive(30)), []

    def spoilt(point):
        shown.append(point.clone())
        evaluation = evaluate(point)
        return evaluation._replace(objective=torch.tensor(math.nan)) if len(shown) == 5 else evaluation

    optimizer = LBFGS(torch.full((30,), 0.2, dtype=torch.float64))
    objectives = [optimizer.step(spoilt).objective for _ in range(9)]
    torch.testing.assert_close(shown[5], (shown[3] + shown[4]) / 2)
    assert objectives[-1] < objectives[3]


def test_where_no_step_leads_to_a_number_it_says_so_and_keeps_the_best():
    start = torch.full((1, 3, 4, 4), 0.5)
    optimizer = LBFGS(start.clone())

    def evaluate(point):
        objective = 1.0 if torch.equal(point, start) else math.nan
        return Evaluation(torch.tensor(objective), {}, torch.full_like(point, objective))

    with pytest.raises(DivergedError, match="The optimisation diverged: lower the weights"):
        for _ in range(100):
            optimizer.step(evaluate)
    assert torch.equal(optimizer.best, start)


def test_an_objective_that_is_no_number_at_once_is_told():
    with pytest.raises(DivergedError):
        LBFGS(torch.zeros(3)).step(lambda point: Evaluation(torch.tensor(math.nan), {}, point))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-0.25, 0.5)])
def test_it_finds_the_least_within_the_bounds(bounds):
    """Of a quadratic that couples its values, by the conditions for a least one (Karush, Kuhn & Tucker)."""
    generator = torch.Generator().manual_seed(0)
    goal = torch.randn(1, 3, 6, 5, dtype=torch.float64, generator=generator) + 0.5
    evaluate = quadratic(goal, positive(goal.numel()))
    point = torch.full_like(goal, 0.25)
    optimizer = LBFGS(point, bounds=bounds)
    for _ in range(200):
        optimizer.step(evaluate)
        assert point.min() >= bounds[0] and point.max() <= bounds[1]
    least, gradient = optimizer.best.flatten(), evaluate(optimizer.best).gradient.flatten()
    below, above = least <= bounds[0], least >= bounds[1]
    assert below.any() and above.any() and not (below | above).all()
    assert gradient[~(below | above)].abs().max() < 1e-4 * gradient.abs().max()
    assert (gradient[below] > -1e-6).all() and (gradient[above] < 1e-6).all()


def test_a_start_out_of_bounds_is_brought_within():
    start = torch.tensor([-1.0, 0.5, 2.0])
    assert torch.equal(LBFGS(start).best, torch.tensor([0.0, 0.5, 1.0]))


def test_where_the_gradient_vanishes_it_stays(random_image):
    point = random_image(40, 48)
    before, optimizer = point.clone(), LBFGS(point)
    for _ in range(3):
        optimizer.step(lambda at: Evaluation(torch.tensor(1.0), {}, torch.zeros_like(at)))
    assert torch.equal(point, before)


@settings(max_examples=30)
@given(
    stop=st.integers(0, 12),
    pairs=st.integers(1, 6),
    dtype=st.sampled_from([None, torch.bfloat16]),
    guessed=st.booleans(),
    nan=st.booleans(),
)
def test_resumed_anywhere_it_goes_the_same_way_bit_by_bit(stop, pairs, dtype, guessed, nan):
    goal, curvature = torch.rand(2, 1, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    goal = 1.5 * goal - 0.25  # so that some values end at a bound

    evaluate, numbers = quadratic(goal, 0.1 + curvature), itertools.count()

    def spoilt(point):  # the seventh evaluation
        evaluation = evaluate(point)
        return evaluation._replace(objective=torch.tensor(math.nan)) if nan and next(numbers) == 6 else evaluation

    def run(start, steps, state=None):
        point = start.clone()
        guess = {"precondition": Preconditioner(point)} if guessed else {}
        optimizer = LBFGS(point, pairs, dtype=dtype, **guess)
        if state is not None:
            optimizer.restore(state)
        for _ in range(steps):
            optimizer.step(spoilt)
        return optimizer, point

    whole, end = run(torch.full_like(goal, 0.5), 16)
    numbers = itertools.count()
    begun, _ = run(torch.full_like(goal, 0.5), stop)
    resumed, found = run(torch.zeros_like(goal), 16 - stop, copy.deepcopy(begun.state()))
    assert torch.equal(found, end) and torch.equal(resumed.best, whole.best)
