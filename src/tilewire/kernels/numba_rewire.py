"""Rewiring in bulk: which branches are weak, and uniform refills of quotas."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Words = NDArray[np.uint64]


@njit(cache=True)
def strong_synapses(weight: NDArray[Any], threshold: Any) -> Longs:
    """Synapses with |w| >= threshold in each row of ``weight`` [branches, S], int64 [branches]."""
    count = np.empty(weight.shape[0], np.int64)
    for b in range(weight.shape[0]):
        found = np.int32(0)
        for j in range(weight.shape[1]):
            found += np.int32(abs(weight[b, j]) >= threshold)
        count[b] = found
    return count


@njit(cache=True)
def sorted_branches(source: Ints, tile: Ints, n_sources: int, n_tiles: int) -> tuple[Ints, Ints]:
    """Branches sorted by (source, tile), each once; those with a negative tile are left out.

    Two counting sorts, by tile and then by source: O(branches + sources + tiles).
    """
    column, row = (
        np.zeros(n_tiles + 2, np.int32),
        np.zeros(n_sources + 2, np.int32),
    )  # where each one starts, at index + 1
    for k in range(tile.size):
        if tile[k] >= 0:
            column[tile[k] + 2] += 1
            row[source[k] + 2] += 1
    for t in range(n_tiles):
        column[t + 2] += column[t + 1]
    for i in range(n_sources):
        row[i + 2] += row[i + 1]
    live = column[n_tiles + 1]
    by_tile, by_source = np.empty(live, np.int64), np.empty(live, np.int64)
    for k in range(tile.size):
        if tile[k] >= 0:
            by_tile[column[tile[k] + 1]] = np.int64(source[k]) << 32 | tile[k]
            column[tile[k] + 1] += 1
    for key in by_tile:
        by_source[row[(key >> 32) + 1]] = key
        row[(key >> 32) + 1] += 1
    sources, tiles, n, last = np.empty(live, np.int32), np.empty(live, np.int32), 0, -1
    for key in by_source:
        sources[n], tiles[n] = key >> 32, key & 0xFFFFFFFF
        n += key != last  # written over if it repeats; no branch
        last = key
    return sources[:n], tiles[:n]


@njit(cache=True)
def count_branches(use: Longs, step: int, tile_of: Ints, class_of: Ints, source: Ints, tile: Ints) -> None:
    """Add ``step`` to ``use[own tile, class]`` for each branch whose class is not negative."""
    for k in range(source.size):
        own = tile_of[source[k]]
        column = class_of[own, tile[k]]
        if column >= 0:
            use[own, column] += step


@njit(cache=True)
def _is_taken(taken: Words, source: int, tile: int) -> bool:
    return bool(taken[source, tile >> 6] >> np.uint64(tile & 63) & np.uint64(1))


@njit(cache=True)
def _take(taken: Words, source: int, tile: int) -> None:
    taken[source, tile >> 6] |= np.uint64(1) << np.uint64(tile & 63)


@njit(cache=True)
def _below(rng: np.random.Generator, n: int) -> int:
    """Uniform in 0 .. n - 1, to one part in 2^53 / n; four times as fast here as ``rng.integers``."""
    return min(int(rng.random() * n), n - 1)


@njit(cache=True, error_model="numpy")
def _draw_few(
    rng: np.random.Generator, need: int, neurons: Longs, reach: Ints, taken: Words, source: Ints, target: Ints, n: int
) -> int:
    """Draw pairs and draw again those that are taken: uniform, cheap while half the pairs are free."""
    for _ in range(need):
        while True:
            pair = np.uint32(_below(rng, neurons.size * reach.size))
            neuron, tile = neurons[pair // np.uint32(reach.size)], reach[pair % np.uint32(reach.size)]
            if not _is_taken(taken, neuron, tile):
                break
        _take(taken, neuron, tile)
        source[n], target[n] = neuron, tile
        n += 1
    return n


@njit(cache=True)
def _draw_many(
    rng: np.random.Generator, need: int, neurons: Longs, reach: Ints, taken: Words, source: Ints, target: Ints, n: int
) -> int:
    """List the free pairs and shuffle as many of them as are needed to the front."""
    free, found = np.empty((neurons.size * reach.size, 2), np.int32), 0
    for neuron in neurons:
        for tile in reach:
            free[found, 0], free[found, 1] = neuron, tile
            found += not _is_taken(taken, neuron, tile)
    for k in range(need):
        other = k + _below(rng, found - k)
        source[n], target[n] = free[other, 0], free[other, 1]
        free[other, 0], free[other, 1] = free[k, 0], free[k, 1]
        n += 1
    return n


@njit(cache=True)
def fill_quotas(
    rng: np.random.Generator, slack: Longs, neurons_of: Longs, reach: Ints, reach_ptr: Longs, tile_of: Ints, class_of: Ints,
    linked_source: Ints, linked_target: Ints,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Branches that fill ``slack`` [tiles, classes], each class of a tile uniform without replacement among its free pairs.

    The pairs of tile t and class c are ``neurons_of[t]`` x ``reach[t, reach_ptr[t, c] : reach_ptr[t, c + 1]]``, less the linked ones.
    ``class_of`` [tiles, tiles] is -1 for pairs that have no quota. The linked pairs need no order, may repeat, and do not exist where their
    target is negative. Returns (source, target); fewer than the slack where pairs run out.
    """
    tiles, classes = slack.shape
    taken = np.zeros((tile_of.size, (tiles + 63) >> 6), np.uint64)
    held = np.zeros((tiles, classes), np.int64)
    for k in range(linked_source.size):
        neuron, tile = linked_source[k], linked_target[k]
        if tile >= 0 and not _is_taken(taken, neuron, tile):
            _take(taken, neuron, tile)
            own = tile_of[neuron]
            column = class_of[own, tile]
            if column >= 0:
                held[own, column] += 1
    wanted = slack.sum()
    source, target, n = np.empty(wanted, np.int32), np.empty(wanted, np.int32), 0
    for t in range(tiles):
        for c in range(classes):
            first, last = reach_ptr[t, c], reach_ptr[t, c + 1]
            pairs = (last - first) * neurons_of.shape[1]
            need = min(slack[t, c], pairs - held[t, c])
            if need > 0 and 2 * (held[t, c] + need) <= pairs:
                n = _draw_few(rng, need, neurons_of[t], reach[t, first:last], taken, source, target, n)
            elif need > 0:
                n = _draw_many(rng, need, neurons_of[t], reach[t, first:last], taken, source, target, n)
    return source[:n], target[:n]
