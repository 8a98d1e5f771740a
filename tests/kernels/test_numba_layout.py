"""Packed rows and fans hold the weights of the blocks, and bring gradients back to their slots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.kernels import numba_layout as layout
from tilewire.kernels.blocks import Blocks


def network(seed, n, n_sources, n_tiles, size):
    rng = np.random.default_rng(seed)
    source, tile = rng.integers(0, n_sources, n), rng.integers(-1, n_tiles, n)
    blocks = Blocks(source.astype(np.int32), tile.astype(np.int32), n_sources, n_tiles, size)
    return blocks, rng.normal(size=(n, size))


def dense(blocks, weight):
    matrix = np.zeros((blocks.n_sources, blocks.neurons))
    for p in range(len(blocks)):
        if blocks.tile[p] >= 0:
            at = blocks.tile[p] * blocks.tile_size
            matrix[blocks.source[p], at : at + blocks.tile_size] += weight[p]
    return matrix


NETWORKS = st.tuples(st.integers(0, 999), st.integers(0, 30), st.integers(1, 5), st.integers(1, 5), st.integers(1, 9))


@settings(deadline=None, max_examples=40)
@given(NETWORKS)
def test_rows_hold_the_matrix(sizes):
    blocks, weight = network(*sizes)
    rows, _ = layout.by_source(blocks, weight)
    matrix = np.zeros((blocks.n_sources, blocks.neurons + layout.TAIL))
    for source in range(blocks.n_sources):
        for r in range(rows.ptr[source], rows.ptr[source + 1]):
            part = rows.weight[rows.at[r] : rows.at[r + 1]]
            matrix[source, rows.to[r] : rows.to[r] + part.size] += part
    np.testing.assert_allclose(matrix[:, : blocks.neurons], dense(blocks, weight), atol=1e-12)
    assert not matrix[:, blocks.neurons :].any()
    assert not rows.weight.size or rows.weight.ctypes.data % layout.CACHE_LINE == 0


@settings(deadline=None, max_examples=40)
@given(NETWORKS)
def test_fans_hold_the_matrix(sizes):
    blocks, weight = network(*sizes)
    fans = layout.by_tile(blocks, weight)
    matrix = np.zeros((blocks.n_sources, blocks.neurons))
    packed = fans.weight.reshape(-1, fans.stride)
    for tile in range(blocks.n_tiles):
        for k in range(fans.ptr[tile], fans.ptr[tile + 1]):
            at = tile * blocks.tile_size
            matrix[fans.source[k], at : at + blocks.tile_size] += packed[k, : blocks.tile_size]
            assert not packed[k, blocks.tile_size :].any()
    np.testing.assert_allclose(matrix, dense(blocks, weight), atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(NETWORKS, st.integers(1, 3))
def test_unpack_sums_and_restores_the_slots(sizes, threads):
    blocks, weight = network(*sizes)
    rows, places = layout.by_source(blocks, weight)
    got = layout.unpack(places, [rows.weight * (k + 1) for k in range(threads)], weight.shape)
    live = (blocks.tile >= 0)[:, None]
    np.testing.assert_allclose(got, np.where(live, weight * sum(range(1, threads + 1)), 0))


def test_a_dense_source_is_one_row():
    blocks = Blocks(np.repeat([0, 1], 6), np.tile(np.arange(6), 2), 2, 6, 5)
    rows, _ = layout.by_source(blocks, np.ones((12, 5), np.float32))
    assert rows.ptr.tolist() == [0, 1, 2]
    assert np.diff(rows.at).tolist() == [32, 32]


def test_too_many_weights_are_refused():
    class Huge:
        tile_size = 2**20

        def __len__(self):
            return 2**11

    with pytest.raises(UsageError, match=r"limit 2\^31"):
        layout.by_source(Huge(), np.zeros((0, 0)))
