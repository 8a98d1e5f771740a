"""Bulk rewiring against slow, obvious counterparts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.kernels.numba_rewire import fill_quotas, sorted_branches, strong_synapses


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), branches=st.integers(0, 30), size=st.integers(0, 40))
def test_strong_synapses_are_counted(seed, branches, size):
    weight = np.random.default_rng(seed).integers(-3, 4, (branches, size)).astype(np.float32)
    assert np.array_equal(strong_synapses(weight, np.float32(2)), (np.abs(weight) >= 2).sum(axis=1))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 999), n=st.integers(0, 60), sources=st.integers(1, 9), tiles=st.integers(1, 9))
def test_sorted_branches_are_a_connectivity(seed, n, sources, tiles):
    rng = np.random.default_rng(seed)
    source, tile = rng.integers(0, sources, n).astype(np.int32), rng.integers(-1, tiles, n).astype(np.int32)
    live = tile >= 0
    want = Connectivity.of(source[live], tile[live], sources, tiles)
    assert Connectivity(sources, tiles, *sorted_branches(source, tile, sources, tiles)) == want


def line_of_tiles(tiles, size):
    """Tiles in a row, class = distance - 1: the arrays that ``fill_quotas`` needs."""
    class_of = (np.abs(np.subtract.outer(np.arange(tiles), np.arange(tiles))) - 1).astype(np.int32)
    reach = np.argsort(class_of, axis=1, kind="stable").astype(np.int32)
    ptr = np.stack([(class_of < c).sum(axis=1) for c in range(tiles)], axis=1)
    tile_of = np.repeat(np.arange(tiles), size).astype(np.int32)
    return np.arange(tiles * size).reshape(tiles, size), reach, ptr, tile_of, class_of


def slow_fill(rng, slack, neurons_of, class_of, linked):
    """Per tile and class: list the free pairs, draw without replacement."""
    added = set()
    for tile, column in np.ndindex(*slack.shape):
        free = [
            (int(i), t) for i in neurons_of[tile] for t in range(len(class_of))
            if class_of[tile, t] == column and (int(i), t) not in linked
        ]  # fmt: skip
        for k in rng.permutation(len(free))[: slack[tile, column]]:
            added.add(free[k])
    return added


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 999), tiles=st.integers(1, 5), size=st.integers(1, 5), density=st.floats(0, 1))
def test_quotas_are_filled_as_far_as_pairs_go(seed, tiles, size, density):
    rng = np.random.default_rng(seed)
    neurons_of, reach, ptr, tile_of, class_of = line_of_tiles(tiles, size)
    source, target = (a.astype(np.int32) for a in np.nonzero(rng.random((tiles * size, tiles)) < density))
    linked = set(zip(source.tolist(), target.tolist(), strict=True))
    slack = rng.integers(0, 2 * size + 1, (tiles, tiles - 1))
    new = fill_quotas(rng, slack, neurons_of, reach, ptr, tile_of, class_of, source, target)
    pairs = list(zip(*(a.tolist() for a in new), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert not set(pairs) & linked
    slow = slow_fill(rng, slack, neurons_of, class_of, linked)

    def used(branches):
        return Counter((int(tile_of[i]), int(class_of[tile_of[i], t])) for i, t in branches)

    assert used(pairs) == used(slow)


@pytest.mark.parametrize("wanted", [3, 9])  # drawn by rejection, drawn from a list
def test_draws_are_uniform_like_the_slow_ones(wanted):
    neurons_of, reach, ptr, tile_of, class_of = line_of_tiles(3, 6)
    linked = np.array([[0, 1], [5, 1]], np.int32)
    slack = np.zeros((3, 2), np.int64)
    slack[0, 0], rng, draws = min(wanted, 4), np.random.default_rng(3), 4000
    slack[1, 0] = wanted
    fast, slow = Counter(), Counter()
    for _ in range(draws):
        args = (rng, slack, neurons_of, reach, ptr, tile_of, class_of, linked[:, 0].copy(), linked[:, 1].copy())
        fast.update(zip(*(a.tolist() for a in fill_quotas(*args)), strict=True))
        slow.update(slow_fill(rng, slack, neurons_of, class_of, {(0, 1), (5, 1)}))
    assert fast.keys() == slow.keys()
    for pair, expected in [((1, 1), slack[0, 0] / 4), ((7, 0), wanted / 12), ((11, 2), wanted / 12)]:
        spread = 5 * np.sqrt(draws * expected * (1 - expected)) + 1e-9
        assert abs(fast[pair] - draws * expected) <= spread
        assert abs(slow[pair] - draws * expected) <= spread
    assert max(abs(fast[p] - slow[p]) for p in slow) <= 5 * np.sqrt(2 * draws * 0.25)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), tiles=st.integers(2, 5), size=st.integers(1, 5), n=st.integers(0, 40))
def test_linked_pairs_need_no_order_may_repeat_and_may_be_dead(seed, tiles, size, n):
    rng, arrays = np.random.default_rng(seed), line_of_tiles(tiles, size)
    source, target = (rng.integers(low, high, n).astype(np.int32) for low, high in ((0, tiles * size), (-1, tiles)))
    slack = rng.integers(0, 2 * size + 1, (tiles, tiles - 1))
    ordered = sorted_branches(source, target, tiles * size, tiles)
    a, b = (fill_quotas(np.random.default_rng(5), slack, *arrays, *pairs) for pairs in (ordered, (source, target)))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_same_generator_draws_the_same():
    arrays = line_of_tiles(4, 5)
    slack, none = np.full((4, 3), 4), np.zeros(0, np.int32)
    a, b = (fill_quotas(np.random.default_rng(5), slack, *arrays, none, none) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
