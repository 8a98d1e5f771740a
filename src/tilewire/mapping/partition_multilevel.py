"""Multilevel start of a partition: coarsen by heavy edges, anneal the small graph, refine on the way back, balance exactly.

Scheme of Karypis and Kumar (SIAM J. Scientific Computing 20, 1998). Departures: refinement anneals single moves at falling temperature
within a slack of the sizes, and the finest level ends with a rebalancing pass that makes the sizes exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.mapping.partition_anneal import random_below, random_bits

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
COARSE = 24  # nodes per part at which coarsening stops
SLACK = 0.03  # share by which a part may exceed its size before the last pass
HOT, COLD = 0.5, 0.04  # temperatures in units of `scale`


@dataclass(frozen=True, eq=False)
class Graph:
    """Symmetric weighted graph in CSR without loops, and the neurons that each node stands for."""

    ptr: Longs
    neighbour: Ints
    weight: Ints
    size: Ints


@njit(cache=True)
def _match(ptr: Longs, neighbour: Ints, weight: Ints, size: Ints, order: Ints, heaviest: int) -> tuple[Ints, int]:
    """Coarse node of each node: pairs with the largest weight per product of sizes, nodes visited in ``order``."""
    coarse = np.full(size.size, -1, np.int32)
    made = 0
    for u in order:
        if coarse[u] >= 0:
            continue
        best, most = -1, 0.0
        for k in range(ptr[u], ptr[u + 1]):
            v = neighbour[k]
            if coarse[v] < 0 and size[u] + size[v] <= heaviest:
                rating = weight[k] / (size[u] * size[v])
                if rating > most:
                    best, most = v, rating
        coarse[u] = made
        if best >= 0:
            coarse[best] = made
        made += 1
    return coarse, made


def _contract(graph: Graph, coarse: Ints, made: int) -> Graph:
    source = coarse[np.repeat(np.arange(graph.size.size), np.diff(graph.ptr))].astype(np.int64)
    target = coarse[graph.neighbour]
    keep = source != target
    key, index = np.unique(source[keep] * made + target[keep], return_inverse=True)
    weight = np.bincount(index, weights=graph.weight[keep], minlength=key.size)
    ptr = np.searchsorted(key, np.arange(made + 1, dtype=np.int64) * made)
    size = np.bincount(coarse, weights=graph.size, minlength=made)
    return Graph(ptr.astype(np.int64), (key % made).astype(np.int32), weight.astype(np.int32), size.astype(np.int32))


@njit(cache=True)
def anneal_moves(
    ptr: Longs, neighbour: Ints, weight: Ints, size: Ints, part: Ints, load: Longs, limit: Longs, steps: int, hot: float,
    cold: float, seed: int,
) -> None:  # fmt: skip
    """Anneal ``part`` in place by moves of one node to the part of a neighbour; ``load`` [parts] never rises above ``limit``."""
    state = np.array([np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)], np.uint64)
    log = -np.log((np.arange(4096) + 0.5) / 4096)
    cool = (cold / hot) ** (1.0 / max(steps // 256, 1))
    heat = hot
    for step in range(steps):
        if step & 255 == 0:
            heat *= cool
        u = random_below(state, part.size)
        degree = ptr[u + 1] - ptr[u]
        if degree == 0:
            continue
        p, q = part[u], part[neighbour[ptr[u] + random_below(state, degree)]]
        if p == q or load[q] + size[u] > limit[q]:
            continue
        delta = 0
        for k in range(ptr[u], ptr[u + 1]):
            other = part[neighbour[k]]
            if other == p:
                delta += weight[k]
            elif other == q:
                delta -= weight[k]
        if delta <= heat * log[random_bits(state) >> np.uint64(52)]:
            part[u] = q
            load[p] -= size[u]
            load[q] += size[u]


@njit(cache=True)
def rebalance(ptr: Longs, neighbour: Ints, weight: Ints, part: Ints, sizes: Longs, order: Ints) -> None:
    """Make the sizes of a partition of single neurons exact, in place: neurons of full parts go where they lose least.

    Neurons are visited in ``order``, first only those that lose nothing, then with a growing allowance.
    """
    n, parts = part.size, sizes.size
    load = np.zeros(parts, np.int64)
    for u in range(n):
        load[part[u]] += 1
    surplus = 0
    for p in range(parts):
        surplus += max(load[p] - sizes[p], 0)
    tie = np.zeros(parts, np.int64)
    allowance = 0
    while surplus > 0:
        for u in order:
            p = part[u]
            if load[p] <= sizes[p]:
                continue
            tie[:] = 0
            for k in range(ptr[u], ptr[u + 1]):
                tie[part[neighbour[k]]] += weight[k]
            best = -1
            for q in range(parts):
                if load[q] < sizes[q] and (best < 0 or tie[q] > tie[best]):
                    best = q
            if tie[p] - tie[best] <= allowance:
                part[u] = best
                load[p] -= 1
                load[best] += 1
                surplus -= 1
                if surplus == 0:
                    break
        allowance = 2 * allowance + 1


def scale(ptr: Longs, weight: Ints) -> float:
    """Root of the mean over nodes of the summed squared edge weights: the size of a typical change of the cut."""
    squares = np.bincount(np.repeat(np.arange(ptr.size - 1), np.diff(ptr)), weights=weight.astype(float) ** 2)
    return max(float(np.sqrt(squares.sum() / max(ptr.size - 1, 1))), 1e-9)


def _levels(finest: Graph, sizes: Longs, rng: np.random.Generator) -> tuple[list[Graph], list[Ints]]:
    graphs, maps = [finest], []
    heaviest = max(1, int(sizes.max()) // 6)
    while graphs[-1].size.size > COARSE * sizes.size:
        graph = graphs[-1]
        order = rng.permutation(graph.size.size).astype(np.int32)
        coarse, made = _match(graph.ptr, graph.neighbour, graph.weight, graph.size, order, heaviest)
        if made > 0.95 * graph.size.size:
            break
        maps.append(coarse)
        graphs.append(_contract(graph, coarse, made))
    return graphs, maps


def multilevel(
    ptr: Longs, neighbour: Ints, weight: Ints, sizes: Longs, rng: np.random.Generator, proposals: int
) -> Ints:
    """A good partition of a symmetric graph of single neurons into parts of exactly ``sizes``, int32 [neurons].

    About ``proposals`` moves are tried: every level as often per node, the coarsest 20 times as often.
    """
    sizes = np.asarray(sizes, np.int64)
    n = ptr.size - 1
    sweeps = max(5, proposals // (2 * n + 20 * COARSE * sizes.size))
    graphs, maps = _levels(Graph(ptr, neighbour, weight, np.ones(n, np.int32)), sizes, rng)
    part = _spread(graphs[-1].size, sizes, rng)
    for level in range(len(graphs) - 1, -1, -1):
        graph, typical = graphs[level], scale(graphs[level].ptr, graphs[level].weight)
        if level < len(maps):
            part = part[maps[level]]
        load = np.bincount(part, weights=graph.size, minlength=sizes.size).astype(np.int64)
        limit = np.maximum(np.ceil(sizes * (1 + SLACK)).astype(np.int64), sizes + int(graph.size.max()) - 1)
        coarsest = level == len(graphs) - 1
        steps = sweeps * graph.size.size * (20 if coarsest else 1)
        anneal_moves(
            graph.ptr, graph.neighbour, graph.weight, graph.size, part, load, limit, steps,
            HOT * typical, COLD * typical, int(rng.integers(1 << 62)),
        )  # fmt: skip
    rebalance(ptr, neighbour, weight, part, sizes, rng.permutation(n).astype(np.int32))
    return part


def _spread(size: Ints, sizes: Longs, rng: np.random.Generator) -> Ints:
    """Random parts for nodes of several neurons: the largest nodes first, each to the part with the most room."""
    room, part = sizes.astype(np.int64).copy(), np.zeros(size.size, np.int32)
    order = rng.permutation(size.size)
    for u in order[np.argsort(-size[order], kind="stable")]:
        part[u] = int(np.argmax(room))
        room[part[u]] -= size[u]
    return part
