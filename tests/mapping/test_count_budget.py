"""The count of branches: exact, uniform over every distance, own tile free."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.budgets import build_budget
from tilewire.mapping.count_budget import Count


def nothing(tile_of, tiles):
    return Connectivity.of([], [], tile_of.size, tiles)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 90), st.integers(0, 90), st.integers(0, 9))
def test_filled_to_the_count_whatever_was_removed(tiles, size, most, wanted, seed):
    rng = np.random.default_rng(seed)
    tile_of = rng.permutation(np.repeat(np.arange(tiles), size)).astype(np.int32)
    budget = Count(tile_of, tiles, most)
    state = budget.start(nothing(tile_of, tiles))
    first = state.fill(nothing(tile_of, tiles), wanted, rng)
    available = tile_of.size * (tiles - 1)
    assert len(first) == min(wanted, most, available) == state.use
    assert not (tile_of[first.source] == first.target).any()
    gone = rng.random(len(first)) < 0.5
    state.remove_all(first.source[gone], first.target[gone])
    rest = Connectivity(tile_of.size, tiles, first.source[~gone], first.target[~gone])
    again = state.fill(rest, 1000, rng)
    assert len(rest) + len(again) == budget.branches() == min(most, available)
    assert state.excess().worst <= 0
    both = set(zip(rest.source, rest.target, strict=True)) & set(zip(again.source, again.target, strict=True))
    assert not both


def test_the_count_refuses_and_counts():
    tile_of = np.array([0, 1, 2], np.int32)
    state = Count(tile_of, 3, 1).start(Connectivity.of([0], [0], 3, 3))  # into the own tile: free
    assert state.use == 0
    assert state.admits(0, 1)
    state.add(0, 1)
    assert not state.admits(1, 2)
    assert state.admits(1, 1)
    state.add(1, 1)
    assert (state.use, state.excess().worst) == (1, 0)
    state.remove(0, 1)
    assert state.excess().worst == -1
    assert state.excess().name(0) == "branches between tiles"


def test_every_distance_is_drawn_alike():
    fabric = mosaic((1, 4), 3)
    tile_of = np.repeat(np.arange(4), 3).astype(np.int32)
    seen = np.zeros((12, 4), int)
    for seed in range(400):
        state = build_budget("branches", fabric, tile_of, {"branches": 9}).start(nothing(tile_of, 4))
        drawn = state.fill(nothing(tile_of, 4), 99, np.random.default_rng(seed))
        seen[drawn.source, drawn.target] += 1
    off = seen[tile_of[:, None] != np.arange(4)]
    assert off.sum() == 400 * 9
    assert np.abs(off - 100).max() < 45  # mean 100, sd 8.7


def test_all_to_all_and_negative_counts():
    tile_of = np.repeat(np.arange(6), 2).astype(np.int32)
    assert build_budget("branches", mosaic((2, 3), 2), tile_of, {}).branches() == 12 * 5
    with pytest.raises(BudgetError, match="at least 0"):
        Count(tile_of, 6, -1)
