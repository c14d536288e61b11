"""An optimisation ends when its least objective has hardly fallen."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.optimize import EarlyStop

WAIT, GAIN = EarlyStop.ITERATIONS, EarlyStop.GAIN


def test_a_standstill_ends_it_after_so_many_iterations():
    early_stop = EarlyStop()
    assert [early_stop.ends(1.0) for _ in range(WAIT + 3)] == [False] * WAIT + [True] * 3


@pytest.mark.parametrize(("gain", "ends"), [(0.9 * GAIN, True), (1.1 * GAIN, False)])
def test_it_goes_by_what_the_objective_fell_over_those_iterations(gain, ends):
    early_stop, falling = EarlyStop(), (1 - gain) ** (1 / WAIT)
    found = [early_stop.ends(falling**number) for number in range(2 * WAIT)]
    assert found == [False] * WAIT + [ends] * WAIT


def test_rises_and_what_is_no_number_tell_nothing():
    early_stop = EarlyStop()
    objectives = [2.0, 1.0, *[50.0, math.nan, math.inf] * WAIT]
    found = [early_stop.ends(objective) for objective in objectives]
    # The least fell once, from the first to the second iteration.
    assert found.index(True) == WAIT + 1 and all(found[WAIT + 1 :])


def test_a_late_fall_keeps_it_going():
    early_stop = EarlyStop()
    for _ in range(WAIT):
        assert not early_stop.ends(1.0)
    assert [early_stop.ends(0.5) for _ in range(WAIT)] == [False] * WAIT
    assert early_stop.ends(0.5)


@given(st.lists(st.floats(0, 10, allow_subnormal=False), min_size=1, max_size=150), st.integers(0, 150))
def test_resumed_it_goes_on_alike(objectives, stop):
    whole, begun = EarlyStop(), EarlyStop()
    expected = [whole.ends(objective) for objective in objectives]
    for objective in objectives[:stop]:
        begun.ends(objective)
    resumed = EarlyStop(list(begun.least))
    assert [resumed.ends(objective) for objective in objectives[stop:]] == expected[stop:]
