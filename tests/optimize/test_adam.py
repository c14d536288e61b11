"""Adam goes the way of PyTorch's within its bounds, gives the average, and resumes bit by bit."""

import copy
import math

import pytest
import torch

from toolkit.optimize import Adam, DivergedError, Evaluation

GOAL = torch.rand(1, 3, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.3


def evaluate(point):
    """Half a square's; some of its least values are out of [0, 1]."""
    gradient = (1 + GOAL.abs()) * (point - GOAL)
    return Evaluation((gradient * (point - GOAL)).sum() / 2, {}, gradient)


def test_it_goes_the_way_of_pytorchs_and_gives_the_average():
    theirs = torch.full_like(GOAL, 0.5)
    point, iterates = theirs.clone(), []
    optimizer = Adam(point)
    pytorchs = torch.optim.Adam([theirs], Adam.STEP_SIZE, foreach=False)
    for _ in range(60):
        theirs.grad = evaluate(theirs).gradient
        pytorchs.step()
        theirs.clamp_(0, 1)
        optimizer.step(evaluate)
        iterates.append(point.clone())
    torch.testing.assert_close(point, theirs, rtol=0, atol=1e-6)
    weights = Adam.MEMORY ** torch.arange(59, -1, -1, dtype=torch.float64)
    average = sum(w * iterate for w, iterate in zip(weights / weights.sum(), iterates, strict=True))
    torch.testing.assert_close(optimizer.best, average, rtol=0, atol=1e-6)


def test_it_finds_the_least_within_the_bounds():
    for bounds in ((0.0, 1.0), (-0.1, 0.4)):
        point = torch.full_like(GOAL, 0.2)
        optimizer = Adam(point, bounds)
        for _ in range(300):
            optimizer.step(evaluate)
            assert point.min() >= bounds[0] and point.max() <= bounds[1]
        torch.testing.assert_close(point, GOAL.clamp(*bounds), rtol=0, atol=1e-3)
        assert optimizer.best.min() >= bounds[0] and optimizer.best.max() <= bounds[1]


def test_before_any_step_the_best_is_the_start_within_the_bounds():
    assert torch.equal(Adam(torch.tensor([-1.0, 0.5, 2.0])).best, torch.tensor([0.0, 0.5, 1.0]))


def test_an_objective_that_is_no_number_is_told_and_changes_nothing():
    optimizer = Adam(torch.full_like(GOAL, 0.5))
    for _ in range(3):
        optimizer.step(evaluate)
    before = optimizer.best.clone()
    with pytest.raises(DivergedError, match="The optimisation diverged: lower the weights"):
        optimizer.step(lambda point: evaluate(point)._replace(objective=torch.tensor(math.inf)))
    assert torch.equal(optimizer.best, before)


@pytest.mark.parametrize("stop", [0, 1, 7])
def test_resumed_anywhere_it_goes_the_same_way_bit_by_bit(stop):
    whole, begun, resumed = (Adam(torch.full_like(GOAL, value)) for value in (0.5, 0.5, 0.0))
    for _ in range(12):
        whole.step(evaluate)
    for _ in range(stop):
        begun.step(evaluate)
    resumed.restore(copy.deepcopy(begun.state()))
    for _ in range(12 - stop):
        resumed.step(evaluate)
    assert torch.equal(resumed.best, whole.best)
