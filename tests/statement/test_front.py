"""Fronts of accuracy against cost."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.statement.front import accuracy_at, cost_at, front_of

CELLS = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 20)), min_size=1, max_size=12)


def slow_front(cost, accuracy):
    """Cells that nobody beats: as cheap with more accuracy, or cheaper with as much; the first of twins."""
    kept = []
    for i in range(len(cost)):
        beaten = any(
            (cost[j] <= cost[i] and accuracy[j] > accuracy[i])
            or (cost[j] < cost[i] and accuracy[j] >= accuracy[i])
            or (j < i and cost[j] == cost[i] and accuracy[j] == accuracy[i])
            for j in range(len(cost))
        )
        if not beaten:
            kept.append(i)
    return sorted(kept, key=lambda i: cost[i])


@settings(deadline=None, max_examples=150)
@given(CELLS)
def test_front_equals_the_slow_one(cells):
    cost, accuracy = (np.array(column, float) for column in zip(*cells, strict=True))
    assert front_of(cost, accuracy).tolist() == slow_front(cost, accuracy)


@settings(deadline=None, max_examples=150)
@given(CELLS, st.floats(0, 1))
def test_cost_and_accuracy_are_inverse(cells, place):
    cost, accuracy = (np.array(column, float) for column in zip(*cells, strict=True))
    front = front_of(cost, accuracy)
    low, high = accuracy[front[0]], accuracy[front[-1]]
    wanted = low + place * (high - low)
    price = cost_at(cost, accuracy, wanted)
    assert cost[front[0]] * (1 - 1e-12) <= price <= cost[front[-1]] * (1 + 1e-12)
    assert math.isclose(accuracy_at(cost, accuracy, max(price, cost[front[0]])), wanted, abs_tol=1e-9)


def test_measured_cells_cost_what_they_cost_and_nothing_is_extrapolated():
    cost, accuracy = np.array([100.0, 400.0, 900.0]), np.array([0.5, 0.7, 0.6])
    assert math.isclose(cost_at(cost, accuracy, 0.5), 100)
    assert math.isclose(cost_at(cost, accuracy, 0.6), 200), "half way in the logarithm"
    assert math.isclose(cost_at(cost, accuracy, 0.1), 100)
    assert cost_at(cost, accuracy, 0.71) == math.inf
    assert math.isnan(accuracy_at(cost, accuracy, 99.0))
    assert accuracy_at(cost, accuracy, 1e6) == 0.7
