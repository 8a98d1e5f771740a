"""Swap annealing of a balanced partition on the multicast hypergraph: parts touched per net, weighted by rate.

    cost = sum over nets i of rate_i * (parts that the net of neuron i touches - 1)

A net holds its source and all its targets, so the source's own part is the one that is not counted. The cost is the connectivity metric
(lambda - 1) of hypergraph partitioning; gains are kept as benefit and penalty tables (Maas et al., Mt-KaHyPar, ALENEX 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.mapping.partition_anneal import random_below, random_bits

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hypergraph:
    """Nets and their pins both ways: pins of net e are ``pin[net_ptr[e]:net_ptr[e+1]]``, nets of node u ``net[pin_ptr[u]:...]``."""

    net_ptr: Longs
    pin: Ints
    pin_ptr: Longs
    net: Ints
    weight: Floats

    @property
    def arrays(self) -> tuple[Longs, Ints, Longs, Ints, Floats]:
        return self.net_ptr, self.pin, self.pin_ptr, self.net, self.weight


def multicast(source: Longs, target: Longs, n: int, rate: Floats) -> Hypergraph:
    """The nets of synapses (source, target), one per neuron with synapses and a rate above 0, weight = rate."""
    live = np.flatnonzero((np.bincount(source, minlength=n) > 0) & (rate > 0))
    number = np.full(n, -1, np.int64)
    number[live] = np.arange(live.size)
    keep = number[source] >= 0
    key = np.unique(
        np.concatenate([number[source[keep]] * n + target[keep], number[live] * n + live])
    )  # by net, then pin
    net, pin = key // max(n, 1), key % max(n, 1)
    order = np.argsort(pin, kind="stable")
    net_ptr = np.searchsorted(net, np.arange(live.size + 1)).astype(np.int64)
    pin_ptr = np.searchsorted(pin[order], np.arange(n + 1)).astype(np.int64)
    return Hypergraph(
        net_ptr, pin.astype(np.int32), pin_ptr, net[order].astype(np.int32), rate[live].astype(np.float64)
    )


def touched_cost(nets: Hypergraph, part: Ints) -> float:
    """The cost of a partition, counted anew."""
    net = np.repeat(np.arange(nets.weight.size), np.diff(nets.net_ptr))
    key = np.unique(net * (int(part.max(initial=0)) + 1) + part[nets.pin])
    touched = np.bincount(key // (int(part.max(initial=0)) + 1), minlength=nets.weight.size)
    return float((nets.weight * (touched - 1)).sum())


@njit(cache=True)
def gain_tables(
    net_ptr: Longs, pin: Ints, pin_ptr: Longs, net: Ints, weight: Floats, part: Ints, n_parts: int
) -> tuple[Ints, Floats, Floats]:
    """Pins of each net in each part [nets, parts]; benefit [nodes]: nets that leave the part of a node with it; penalty [nodes, parts]:
    nets of a node that do not touch a part yet. Moving u to t changes the cost by penalty[u, t] - benefit[u]."""
    nodes, nets = part.size, weight.size
    pins = np.zeros((nets, n_parts), np.int32)
    benefit, penalty = np.zeros(nodes), np.zeros((nodes, n_parts))
    for e in range(nets):
        for k in range(net_ptr[e], net_ptr[e + 1]):
            pins[e, part[pin[k]]] += 1
    for u in range(nodes):
        for k in range(pin_ptr[u], pin_ptr[u + 1]):
            e = net[k]
            if pins[e, part[u]] == 1:
                benefit[u] += weight[e]
            for t in range(n_parts):
                if pins[e, t] == 0:
                    penalty[u, t] += weight[e]
    return pins, benefit, penalty


@njit(cache=True)
def move(
    net_ptr: Longs, pin: Ints, pin_ptr: Longs, net: Ints, weight: Floats, part: Ints, pins: Ints, benefit: Floats,
    penalty: Floats, u: int, q: int,
) -> None:  # fmt: skip
    """Move node u to part q and bring the tables up to date."""
    p = part[u]
    part[u] = q
    benefit[u] = 0.0
    for k in range(pin_ptr[u], pin_ptr[u + 1]):
        e = net[k]
        first, last = net_ptr[e], net_ptr[e + 1]
        pins[e, p] -= 1
        pins[e, q] += 1
        if pins[e, p] == 0:
            for m in range(first, last):
                penalty[pin[m], p] += weight[e]
        elif pins[e, p] == 1:
            for m in range(first, last):
                if part[pin[m]] == p:
                    benefit[pin[m]] += weight[e]
                    break
        if pins[e, q] == 1:
            benefit[u] += weight[e]
            for m in range(first, last):
                penalty[pin[m], q] -= weight[e]
        elif pins[e, q] == 2:
            for m in range(first, last):
                if part[pin[m]] == q and pin[m] != u:
                    benefit[pin[m]] -= weight[e]
                    break


@njit(cache=True)
def _shared(pin_ptr: Longs, net: Ints, weight: Floats, pins: Ints, u: int, v: int, p: int, q: int) -> float:
    """What the two single moves of a swap gain on nets that hold both nodes, where a swap gains nothing."""
    i, j, excess = pin_ptr[u], pin_ptr[v], 0.0
    while i < pin_ptr[u + 1] and j < pin_ptr[v + 1]:
        if net[i] < net[j]:
            i += 1
        elif net[i] > net[j]:
            j += 1
        else:
            e = net[i]
            excess += weight[e] * ((pins[e, p] == 1) + (pins[e, q] == 1))
            i += 1
            j += 1
    return excess


@njit(cache=True)
def anneal_nets(
    net_ptr: Longs, pin: Ints, pin_ptr: Longs, net: Ints, weight: Floats, part: Ints, n_parts: int, steps: int,
    hot: float, cold: float, seed: int,
) -> tuple[Ints, float]:  # fmt: skip
    """Anneal a balanced partition by swaps; sizes never change. Returns the best partition seen and its change of cost."""
    n = part.size
    state = np.array([np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)], np.uint64)
    now, best = part.copy(), part.copy()
    pins, benefit, penalty = gain_tables(net_ptr, pin, pin_ptr, net, weight, now, n_parts)
    log = -np.log((np.arange(4096) + 0.5) / 4096)
    cool = (cold / hot) ** (1.0 / max(steps // 256, 1))
    heat, cost, least, improved = hot, 0.0, 0.0, False
    for step in range(steps):
        if step & 255 == 0:
            heat *= cool
        u, v = random_below(state, n), random_below(state, n)
        p, q = now[u], now[v]
        if p == q:
            continue
        # Two single moves: a lower bound of the change, so most proposals stop here.
        delta = penalty[u, q] - benefit[u] + penalty[v, p] - benefit[v]
        limit = heat * log[random_bits(state) >> np.uint64(52)]
        if delta > limit:
            continue
        delta += _shared(pin_ptr, net, weight, pins, u, v, p, q)
        if delta > limit:
            continue
        if delta > 0 and improved:
            best[:] = now
            improved = False
        move(net_ptr, pin, pin_ptr, net, weight, now, pins, benefit, penalty, u, q)
        move(net_ptr, pin, pin_ptr, net, weight, now, pins, benefit, penalty, v, p)
        cost += delta
        if cost < least - 1e-9 * abs(least):
            least, improved = cost, True
    if improved:
        best[:] = now
    return best, least
