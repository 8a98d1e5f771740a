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
def _by(key: NDArray[Any], bound: int, items: Ints) -> Ints:
    """The items in ascending order of ``key[item]`` < bound, equal ones in the order given: a counting sort."""
    start = np.zeros(bound + 1, np.int32)
    for item in items:
        start[key[item] + 1] += 1
    for k in range(bound):
        start[k + 1] += start[k]
    result = np.empty_like(items)
    for item in items:
        result[start[key[item]]] = item
        start[key[item]] += 1
    return result


@njit(cache=True)
def sorted_branches(source: NDArray[Any], tile: NDArray[Any], n_sources: int, n_tiles: int) -> tuple[Ints, Ints]:
    """Branches sorted by (source, tile), each once; those with a negative tile are left out. O(branches + sources + tiles)."""
    items = _by(source, n_sources, _by(tile, n_tiles, np.flatnonzero(tile >= 0).astype(np.int32)))
    sources, tiles, n = np.empty(items.size, np.int32), np.empty(items.size, np.int32), 0
    for item in items:
        if n == 0 or sources[n - 1] != source[item] or tiles[n - 1] != tile[item]:
            sources[n], tiles[n] = source[item], tile[item]
            n += 1
    return sources[:n], tiles[:n]


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


@njit(cache=True)
def _draw_few(
    rng: np.random.Generator, need: int, neurons: Longs, reach: Ints, taken: Words, source: Longs, target: Longs, n: int
) -> int:
    """Draw pairs and draw again those that are taken: uniform, cheap while half the pairs are free."""
    for _ in range(need):
        while True:
            pair = _below(rng, neurons.size * reach.size)
            neuron, tile = neurons[pair // reach.size], reach[pair % reach.size]
            if not _is_taken(taken, neuron, tile):
                break
        _take(taken, neuron, tile)
        source[n], target[n] = neuron, tile
        n += 1
    return n


@njit(cache=True)
def _draw_many(
    rng: np.random.Generator, need: int, neurons: Longs, reach: Ints, taken: Words, source: Longs, target: Longs, n: int
) -> int:
    """List the free pairs and shuffle as many of them as are needed to the front."""
    free, found = np.empty(neurons.size * reach.size, np.int64), 0
    for pair in range(free.size):
        if not _is_taken(taken, neurons[pair // reach.size], reach[pair % reach.size]):
            free[found] = pair
            found += 1
    for k in range(need):
        other = k + _below(rng, found - k)
        free[k], free[other] = free[other], free[k]
        source[n], target[n] = neurons[free[k] // reach.size], reach[free[k] % reach.size]
        n += 1
    return n


@njit(cache=True)
def fill_quotas(
    rng: np.random.Generator, slack: Longs, neurons_of: Longs, reach: Ints, reach_ptr: Longs, tile_of: Ints, class_of: Ints,
    linked_source: Ints, linked_target: Ints,
) -> tuple[Longs, Longs]:  # fmt: skip
    """Branches that fill ``slack`` [tiles, classes], each class of a tile uniform without replacement among its free pairs.

    The pairs of tile t and class c are ``neurons_of[t]`` x ``reach[t, reach_ptr[t, c] : reach_ptr[t, c + 1]]``, less the linked ones.
    ``class_of`` [tiles, tiles] is -1 for pairs that have no quota. Returns (source, target); fewer than the slack where pairs run out.
    """
    tiles, classes = slack.shape
    taken = np.zeros((tile_of.size, (tiles + 63) >> 6), np.uint64)
    held = np.zeros((tiles, classes), np.int64)
    for k in range(linked_source.size):
        _take(taken, linked_source[k], linked_target[k])
        own = tile_of[linked_source[k]]
        column = class_of[own, linked_target[k]]
        if column >= 0:
            held[own, column] += 1
    source, target, n = np.empty(slack.sum(), np.int64), np.empty(slack.sum(), np.int64), 0
    for t in range(tiles):
        for c in range(classes):
            there = reach[t, reach_ptr[t, c] : reach_ptr[t, c + 1]]
            pairs = there.size * neurons_of.shape[1]
            need = min(slack[t, c], pairs - held[t, c])
            if need > 0 and 2 * (held[t, c] + need) <= pairs:
                n = _draw_few(rng, need, neurons_of[t], there, taken, source, target, n)
            elif need > 0:
                n = _draw_many(rng, need, neurons_of[t], there, taken, source, target, n)
    return source[:n], target[:n]
