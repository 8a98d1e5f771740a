"""Swap annealing of a balanced partition on the cut: gain tables, constant time per proposal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


@njit(cache=True, inline="always")
def random_bits(state: NDArray[np.uint64]) -> Any:
    """xorshift64*: 64 random bits (Vigna 2016)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(0x2545F4914F6CDD1D)


@njit(cache=True, inline="always")
def random_below(state: NDArray[np.uint64], bound: int) -> Any:
    """A random whole number in 0..bound-1, for bounds below 2^32."""
    return np.int64(((random_bits(state) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@njit(cache=True, inline="always")
def _edge(ptr: Longs, neighbour: Ints, weight: Ints, u: int, v: int) -> int:
    low, high = ptr[u], ptr[u + 1]
    while low < high:
        middle = (low + high) >> 1
        if neighbour[middle] < v:
            low = middle + 1
        else:
            high = middle
    return weight[low] if low < ptr[u + 1] and neighbour[low] == v else 0


@njit(cache=True)
def tied(ptr: Longs, neighbour: Ints, weight: Ints, part: Ints, n_parts: int) -> Ints:
    """Weight of the edges of each node into each part, int32 [nodes, parts]."""
    table = np.zeros((part.size, n_parts), np.int32)
    for u in range(part.size):
        for k in range(ptr[u], ptr[u + 1]):
            table[u, part[neighbour[k]]] += weight[k]
    return table


@njit(cache=True)
def _retie(ptr: Longs, neighbour: Ints, weight: Ints, table: Ints, u: int, p: int, q: int) -> None:
    """Tell the neighbours of u that it went from part p to q."""
    for k in range(ptr[u], ptr[u + 1]):
        table[neighbour[k], p] -= weight[k]
        table[neighbour[k], q] += weight[k]


@njit(cache=True)
def _slots(part: Ints, n_parts: int) -> tuple[Longs, Longs, Longs]:
    """Nodes by part: part p holds ``slot[first[p]:first[p+1]]``; ``place`` is the slot of each node. Swaps exchange two slots."""
    first = np.zeros(n_parts + 1, np.int64)
    for p in part:
        first[p + 1] += 1
    for p in range(n_parts):
        first[p + 1] += first[p]
    slot = np.argsort(part, kind="mergesort")
    place = np.empty(part.size, np.int64)
    place[slot] = np.arange(part.size)
    return first, slot, place


@njit(cache=True)
def anneal_cut(
    ptr: Longs, neighbour: Ints, weight: Ints, part: Ints, n_parts: int, steps: int, hot: float, cold: float, seed: int,
    directed: bool,
) -> tuple[Ints, int]:  # fmt: skip
    """Anneal a balanced partition by swaps of two nodes of different parts; sizes never change.

    ``ptr``, ``neighbour`` (ascending per node), ``weight`` is the symmetric graph without loops, w_uv = synapses between u and v in both
    directions; ``part`` int32 [nodes] is the start. Temperature falls geometrically from ``hot`` to ``cold`` over ``steps`` proposals;
    ``directed`` sends every second node to the part of one of its neighbours, which helps the refinement of many parts.
    A swap of u in P and v in Q changes the cut by t(u,P) - t(u,Q) + t(v,Q) - t(v,P) + 2 w_uv with t of `tied`.
    Returns the best partition seen and its change of the cut against the start.
    """
    n = part.size
    first, slot, place = _slots(part, n_parts)
    state = np.empty(1, np.uint64)
    state[0] = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)
    now, best = part.copy(), part.copy()
    table = tied(ptr, neighbour, weight, now, n_parts)
    log = -np.log((np.arange(4096) + 0.5) / 4096)
    cost, least = 0, 0
    cool = (cold / hot) ** (1.0 / max(steps // 256, 1))
    heat = hot
    improved = False
    for step in range(steps):
        if step & 255 == 0:
            heat *= cool
        u = random_below(state, n)
        p = now[u]
        if directed and step & 1 and ptr[u + 1] > ptr[u]:
            q = now[neighbour[ptr[u] + random_below(state, ptr[u + 1] - ptr[u])]]
            v = slot[first[q] + random_below(state, first[q + 1] - first[q])]
        else:
            v = random_below(state, n)
            q = now[v]
        if p == q:
            continue
        delta = table[u, p] - table[u, q] + table[v, q] - table[v, p]
        limit = heat * log[random_bits(state) >> np.uint64(52)]
        if delta > limit:
            continue
        delta += 2 * _edge(ptr, neighbour, weight, u, v)
        if delta > limit:
            continue
        if delta > 0 and improved:
            best[:] = now
            improved = False
        cost += delta
        now[u], now[v] = q, p
        place[u], place[v] = place[v], place[u]
        slot[place[u]], slot[place[v]] = u, v
        _retie(ptr, neighbour, weight, table, u, p, q)
        _retie(ptr, neighbour, weight, table, v, q, p)
        if cost < least:
            least = cost
            improved = True
    if improved:
        best[:] = now
    return best, least
