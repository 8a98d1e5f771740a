"""Blocks: contract and orders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.kernels.blocks import Blocks, order


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 50), st.sampled_from([1, 5, 65535, 65536, 200_000]), st.integers(0, 99))
def test_order_groups_live_slots_in_slot_order(n, n_groups, seed):
    key = np.random.default_rng(seed).integers(0, n_groups + 1, n)
    got = order(key, n_groups)
    slow = [p for group in np.unique(key[key < n_groups]) for p in range(n) if key[p] == group]
    assert got.block.tolist() == slow
    np.testing.assert_array_equal(np.diff(got.ptr), np.bincount(key, minlength=n_groups + 1)[:n_groups])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 40), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_orders_are_lexicographic(n, n_sources, n_tiles, seed):
    rng = np.random.default_rng(seed)
    blocks = Blocks(rng.integers(0, n_sources, n), rng.integers(-1, n_tiles, n), n_sources, n_tiles, 4)
    source, tile = blocks.source.tolist(), blocks.tile.tolist()
    live = [p for p in range(n) if tile[p] >= 0]
    assert blocks.by_source().block.tolist() == sorted(live, key=lambda p: (source[p], tile[p], p))
    assert blocks.by_tile().block.tolist() == sorted(live, key=lambda p: (tile[p], source[p], p))
    np.testing.assert_array_equal(
        np.diff(blocks.by_tile().ptr), np.bincount([tile[p] for p in live], minlength=n_tiles)
    )


def test_orders_leave_dead_slots_out():
    blocks = Blocks(np.array([2, 0, 2, 1]), np.array([1, -1, 0, 1]), 3, 2, 4)
    assert (blocks.by_source().ptr.tolist(), blocks.by_source().block.tolist()) == ([0, 0, 1, 3], [3, 2, 0])
    assert (blocks.by_tile().ptr.tolist(), blocks.by_tile().block.tolist()) == ([0, 1, 3], [2, 3, 0])
    assert (len(blocks), blocks.neurons) == (4, 8)


def test_orders_follow_changes_in_place():
    tile = np.array([0, 1], np.int32)
    blocks = Blocks(np.array([0, 0], np.int32), tile, 1, 2, 4)
    tile[0] = 1
    assert blocks.by_tile().ptr.tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("source", "tile", "word"),
    [
        ([0], [2], "to tile 2"),
        ([3], [0], "source 3"),
        ([-1], [0], "source -1"),
        ([0], [-2], "dead"),
        ([0, 1], [0], "sources"),
    ],
)
def test_indices_are_checked(source, tile, word):
    with pytest.raises(UsageError, match=word):
        Blocks(np.array(source), np.array(tile), 3, 2, 4)


def test_dead_slot_may_name_any_source():
    assert len(Blocks(np.array([99]), np.array([-1]), 3, 2, 4).by_source().block) == 0


@pytest.mark.parametrize("sizes", [(-1, 1, 1), (1, -1, 1), (1, 1, 0)])
def test_sizes_are_checked(sizes):
    with pytest.raises(UsageError):
        Blocks(np.zeros(0), np.zeros(0), *sizes)
