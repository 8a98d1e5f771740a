"""Packed weights as the event-driven kernels read them: contiguous rows, by source and by tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.errors import UsageError
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.numba_vector import TAIL

CACHE_LINE = 64
"""Bytes."""


class Rows(NamedTuple):
    """Weights grouped by source. Source s owns the rows ``ptr[s] .. ptr[s + 1] - 1``; row r goes to the neurons
    from ``to[r]`` on and lies at ``weight[at[r] : at[r + 1]]``. Blocks of one source on neighbouring tiles share a
    row, so a dense source is one row. Rows are padded with zeros to a multiple of ``TAIL``.
    """

    ptr: NDArray[np.int32]
    to: NDArray[np.int32]
    at: NDArray[np.int32]
    weight: NDArray[Any]


class Fans(NamedTuple):
    """Weights grouped by destination tile: tile q owns the blocks ``ptr[q] .. ptr[q + 1] - 1``; block k comes from
    ``source[k]`` and lies at ``weight[k * stride : (k + 1) * stride]``, padded with zeros.
    """

    ptr: NDArray[np.int64]
    source: NDArray[np.int32]
    stride: int
    weight: NDArray[Any]


class Places(NamedTuple):
    """Where the weights of slot ``block[k]`` lie in a ``Rows`` buffer: at ``place[k]``."""

    block: NDArray[np.int64]
    place: NDArray[np.int64]


def aligned(size: int, kind: Any) -> NDArray[Any]:
    """Zeros that begin at a cache line, so that no vector operation straddles two."""
    extra = CACHE_LINE // np.dtype(kind).itemsize
    block = np.zeros(size + extra, kind)
    start = -block.ctypes.data % CACHE_LINE // block.itemsize
    return block[start : start + size]


def by_source(blocks: Blocks, weight: NDArray[Any]) -> tuple[Rows, Places]:
    """Lay the weights [P, S] out by source, O(P S). Raises ``UsageError`` from 2^31 weights on."""
    if len(blocks) * (blocks.tile_size + TAIL) >= 2**31:
        raise UsageError(f"{len(blocks)} blocks of {blocks.tile_size} weights, limit 2^31 weights", where="rsnn")
    order = blocks.by_source()
    to, at, ptr, place = _rows(order.ptr, blocks.tile[order.block], blocks.tile_size)
    flat = aligned(int(at[-1]), weight.dtype)
    _pack(flat, weight, order.block, place)
    return Rows(ptr, to, at, flat), Places(order.block, place)


def by_tile(blocks: Blocks, weight: NDArray[Any]) -> Fans:
    """Lay the weights [P, S] out by destination tile, O(P S)."""
    order = blocks.by_tile()
    stride = -(-blocks.tile_size // TAIL) * TAIL
    flat = aligned(len(order.block) * stride, weight.dtype)
    _pack(flat, weight, order.block, np.arange(len(order.block)) * stride)
    return Fans(order.ptr, blocks.source[order.block], stride, flat)


def unpack(places: Places, partial: Sequence[NDArray[Any]], shape: tuple[int, int]) -> NDArray[Any]:
    """Sum the private buffers of the threads in their order and bring them back to slots, [P, S]."""
    total = partial[0]
    for further in partial[1:]:
        total = total + further
    weight = np.zeros(shape, total.dtype)
    _unpack(weight, total, places.block, places.place)
    return weight


@njit(cache=True)
def _rows(
    ptr: NDArray[np.int64], tile: NDArray[np.int32], size: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Merge the blocks of one source on neighbouring tiles; return (to, at, row ptr, place of each block)."""
    to = np.empty(tile.size, np.int32)
    at = np.zeros(tile.size + 1, np.int32)
    row_ptr = np.zeros(ptr.size, np.int32)
    place = np.empty(tile.size, np.int64)
    rows, end = 0, 0
    for s in range(ptr.size - 1):
        for k in range(ptr[s], ptr[s + 1]):
            if k == ptr[s] or tile[k] != tile[k - 1] + 1:
                end = -(-end // TAIL) * TAIL
                to[rows], at[rows] = tile[k] * size, end
                rows += 1
            place[k] = end
            end += size
        row_ptr[s + 1] = rows
    at[rows] = -(-end // TAIL) * TAIL
    return to[:rows], at[: rows + 1], row_ptr, place


@njit(cache=True)
def _pack(flat: NDArray[Any], weight: NDArray[Any], block: NDArray[np.int64], place: NDArray[np.int64]) -> None:
    for k in range(block.size):
        row, packed = weight[block[k]], flat[place[k] : place[k] + weight.shape[1]]
        for j in range(row.size):
            packed[j] = row[j]


@njit(cache=True)
def _unpack(weight: NDArray[Any], flat: NDArray[Any], block: NDArray[np.int64], place: NDArray[np.int64]) -> None:
    for k in range(block.size):
        row, packed = weight[block[k]], flat[place[k] : place[k] + weight.shape[1]]
        for j in range(row.size):
            row[j] = packed[j]
