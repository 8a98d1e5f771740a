"""Annealed placement: groups on tiles so that hop-weighted multicast traffic is small.

    cost = sum over groups a, b of F_ab * hop(tile_a, tile_b),   F_ab = sum of the rates of the neurons of a with a branch into b

This is a quadratic assignment problem; the start is greedy, the search swaps two tiles, empty ones included (Connolly, European Journal of
Operational Research 46, 1990). Departure: half of the proposals send a group next to one it talks to, which grids reward.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import NetsError
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.partition_anneal import random_below, random_bits
from tilewire.mapping.placement_index import check_fixed, in_order

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
NEAR = 8  # closest tiles that a directed proposal chooses from
EFFORT = 8_000  # proposals per tile and round ...
MOST = 8_000_000  # ... and at most per round


def group_traffic(
    branches: Connectivity, neurons_per_tile: int, rate: Floats | None = None
) -> tuple[Ints, Ints, Floats]:
    """F as (from group, to group, events per second), own groups left out. Raises `NetsError` for rates that do not fit the neurons."""
    rates = np.ones(branches.n_sources) if rate is None else np.asarray(rate, float)
    if rates.shape != (branches.n_sources,):
        raise NetsError(f"{rates.size} rates for {branches.n_sources} neurons")
    if not np.isfinite(rates).all() or (rates < 0).any():
        bad = int(np.flatnonzero(~(np.isfinite(rates) & (rates >= 0)))[0])
        raise NetsError(f"rate of neuron {bad} is {rates[bad]}", hint="rates are finite and not negative")
    source, n = branches.source // neurons_per_tile, branches.n_targets
    away = source != branches.target
    key, index = np.unique(source[away].astype(np.int64) * n + branches.target[away], return_inverse=True)
    flow = np.bincount(index, weights=rates[branches.source[away]], minlength=key.size).astype(np.float64)
    return (key // max(n, 1)).astype(np.int32), (key % max(n, 1)).astype(np.int32), flow


def hop_cost(fabric: TileFabric, branches: Connectivity, tile_of_group: Ints, rate: Floats | None = None) -> float:
    """Hop-weighted multicast traffic of a placement, in hops per second (hops per event if ``rate`` is None)."""
    source, target, flow = group_traffic(branches, fabric.neurons_per_tile, rate)
    return float((flow * fabric.hop_distance[tile_of_group[source], tile_of_group[target]]).sum())


def _adjacency(source: Ints, target: Ints, flow: Floats, n: int) -> tuple[Longs, Ints, Floats, Floats]:
    """Per group its partners with the flow to them and from them: CSR (ptr, partner, out, in)."""
    key = np.concatenate([source.astype(np.int64) * n + target, target.astype(np.int64) * n + source])
    pair, index = np.unique(key, return_inverse=True)
    out = np.bincount(index[: flow.size], weights=flow, minlength=pair.size).astype(np.float64)
    back = np.bincount(index[flow.size :], weights=flow, minlength=pair.size).astype(np.float64)
    ptr = np.searchsorted(pair, np.arange(n + 1, dtype=np.int64) * n).astype(np.int64)
    return ptr, (pair % max(n, 1)).astype(np.int32), out, back


@njit(cache=True)
def greedy_start(ptr: Longs, partner: Ints, out: Floats, back: Floats, hop: Ints, start: Ints) -> Ints:
    """Place the group with the most traffic to placed groups on the free tile of least added cost, again and again.

    ``start`` int32 [groups] holds the tiles of fixed groups and -1 elsewhere. The first group takes the most central free tile.
    """
    tiles, groups = hop.shape[0], start.size
    tile = start.copy()
    taken = np.zeros(tiles, np.bool_)
    pull = np.zeros(groups)
    total = np.zeros(groups)
    for a in range(groups):
        if tile[a] >= 0:
            taken[tile[a]] = True
        for k in range(ptr[a], ptr[a + 1]):
            total[a] += out[k] + back[k]
            if tile[partner[k]] >= 0:
                pull[a] += out[k] + back[k]
    central = np.zeros(tiles)
    for t in range(tiles):
        for other in range(tiles):
            central[t] += hop[t, other]
    for _ in range(groups):
        a = -1
        for g in range(groups):
            if tile[g] < 0 and (a < 0 or pull[g] > pull[a] or (pull[g] == pull[a] and total[g] > total[a])):
                a = g
        if a < 0:
            break
        best, least, middle = -1, np.inf, np.inf
        for t in range(tiles):
            if taken[t]:
                continue
            cost = 0.0
            for k in range(ptr[a], ptr[a + 1]):
                where = tile[partner[k]]
                if where >= 0:
                    cost += out[k] * hop[t, where] + back[k] * hop[where, t]
            if cost < least or (cost == least and central[t] < middle):
                best, least, middle = t, cost, central[t]
        tile[a] = best
        taken[best] = True
        for k in range(ptr[a], ptr[a + 1]):
            pull[partner[k]] += out[k] + back[k]
    return tile


@njit(cache=True)
def swap_delta(
    ptr: Longs,
    partner: Ints,
    out: Floats,
    back: Floats,
    hop: Ints,
    hop_back: Ints,
    tile: Ints,
    a: int,
    b: int,
    at_a: int,
    at_b: int,
) -> float:
    """Change of cost when group a goes from tile ``at_a`` to ``at_b`` and group b (or nobody, -1) the other way.

    ``hop_back`` is the transpose of ``hop``: only whole rows are read, which stay in cache.
    """
    delta = 0.0
    here, there, rows_here, rows_there = hop[at_a], hop[at_b], hop_back[at_a], hop_back[at_b]
    for k in range(ptr[a], ptr[a + 1]):
        if partner[k] != b:
            t = tile[partner[k]]
            delta += out[k] * (there[t] - here[t]) + back[k] * (rows_there[t] - rows_here[t])
        else:  # both ends move: the flow runs the same wires the other way
            delta += (out[k] - back[k]) * (there[at_a] - here[at_b])
    if b >= 0:
        for k in range(ptr[b], ptr[b + 1]):
            if partner[k] != a:
                t = tile[partner[k]]
                delta += out[k] * (here[t] - there[t]) + back[k] * (rows_here[t] - rows_there[t])
    return delta


@njit(cache=True)
def anneal_tiles(
    ptr: Longs, partner: Ints, out: Floats, back: Floats, hop: Ints, hop_back: Ints, near: Ints, tile: Ints,
    frozen: NDArray[np.bool_], steps: int, hot: float, cold: float, seed: int,
) -> Ints:  # fmt: skip
    """Anneal ``tile`` int32 [groups] by tile swaps; groups on ``frozen`` tiles stay. Returns the best placement seen.

    Temperature falls geometrically from ``hot`` to ``cold`` over ``steps`` proposals.
    """
    tiles, groups = hop.shape[0], tile.size
    state = np.array([np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)], np.uint64)
    now, best = tile.copy(), tile.copy()
    owner = np.full(tiles, -1, np.int32)
    for g in range(groups):
        owner[now[g]] = g
    log = -np.log((np.arange(4096) + 0.5) / 4096)
    cool = (cold / hot) ** (1.0 / max(steps // 64, 1))
    heat, cost, least, improved = hot, 0.0, 0.0, False
    for step in range(steps):
        if step & 63 == 0:
            heat *= cool
        a = random_below(state, groups)
        here = now[a]
        if frozen[here]:
            continue
        if step & 1 and ptr[a + 1] > ptr[a]:
            friend = partner[ptr[a] + random_below(state, ptr[a + 1] - ptr[a])]
            there = near[now[friend], random_below(state, near.shape[1])]
        else:
            there = random_below(state, tiles)
        if there == here or frozen[there]:
            continue
        b = owner[there]
        delta = swap_delta(ptr, partner, out, back, hop, hop_back, now, a, b, here, there)
        if delta > heat * log[random_bits(state) >> np.uint64(52)]:
            continue
        if delta > 0 and improved:
            best[:] = now
            improved = False
        now[a] = there
        owner[there], owner[here] = a, b
        if b >= 0:
            now[b] = here
        cost += delta
        if cost < least - 1e-9 * abs(least):
            least, improved = cost, True
    if improved:
        best[:] = now
    return best


def anneal(
    fabric: TileFabric,
    branches: Connectivity,
    *,
    rate: Floats | None = None,
    fixed: Mapping[int, int] | None = None,
    rng: np.random.Generator,
) -> Ints:
    """Placer `anneal`: greedy start, then swap annealing; never worse than its start or than `by-index` with the same overrides.

    Work is counted in proposals, so equal seeds give equal placements.
    """
    n_groups = branches.n_targets
    pinned = check_fixed(fabric, n_groups, fixed)
    graph = _adjacency(*group_traffic(branches, fabric.neurons_per_tile, rate), n_groups)
    hop = np.ascontiguousarray(fabric.hop_distance)
    hop_back: Ints = np.ascontiguousarray(hop.T)
    unplaced = np.full(n_groups, -1, np.int32)
    unplaced[list(pinned)] = list(pinned.values())
    starts = [in_order(fabric, branches, fixed=pinned), greedy_start(*graph, hop, unplaced)]
    best: Ints = min(starts, key=lambda tile: _cost(graph, hop, tile))
    frozen = np.zeros(fabric.n_tiles, bool)
    frozen[list(pinned.values())] = True
    typical = _typical_change(graph, hop, hop_back, best, frozen, rng)
    if typical == 0:
        return best
    # Fixed tiles stay in the list of a tile's neighbours: they are refused when drawn.
    order = np.argsort(hop + np.eye(fabric.n_tiles, dtype=hop.dtype) * (int(hop.max()) + 1), axis=1, kind="stable")
    near: Ints = order[:, : min(NEAR, fabric.n_tiles - 1)].astype(np.int32)
    steps = min(EFFORT * fabric.n_tiles, MOST)
    for number in range(max(1, min(8, 1024 // fabric.n_tiles))):
        tile = best if number == 0 else _shuffled(best, frozen, rng)
        found = anneal_tiles(
            *graph, hop, hop_back, near, tile, frozen, steps, 0.3 * typical, 0.003 * typical, int(rng.integers(1 << 62))
        )
        best = min(best, found, key=lambda tile: _cost(graph, hop, tile))
    return best


def _cost(graph: tuple[Longs, Ints, Floats, Floats], hop: Ints, tile: Ints) -> float:
    ptr, partner, out, _ = graph
    source = np.repeat(np.arange(tile.size), np.diff(ptr))
    return float((out * hop[tile[source], tile[partner]]).sum())


def _shuffled(tile: Ints, frozen: NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """Every free group on a random free tile."""
    moved, result = np.flatnonzero(~frozen[tile]), tile.copy()
    result[moved] = rng.permutation(np.flatnonzero(~frozen))[: moved.size]
    return result


def _typical_change(
    graph: tuple[Longs, Ints, Floats, Floats],
    hop: Ints,
    hop_back: Ints,
    tile: Ints,
    frozen: NDArray[np.bool_],
    rng: np.random.Generator,
) -> float:
    """Mean size of the change of cost when a free group goes to another free tile; 0 if none can move or nothing changes."""
    groups, free = np.flatnonzero(~frozen[tile]), np.flatnonzero(~frozen)
    if groups.size == 0 or free.size < 2 or graph[1].size == 0:
        return 0.0
    owner = np.full(frozen.size, -1, np.int64)
    owner[tile] = np.arange(tile.size)
    draws = zip(rng.choice(groups, 500), rng.choice(free, 500), strict=True)
    moves = [(int(a), int(owner[there]), int(tile[a]), int(there)) for a, there in draws if tile[a] != there]
    return float(np.mean([abs(swap_delta(*graph, hop, hop_back, tile, *move)) for move in moves]) if moves else 0.0)
