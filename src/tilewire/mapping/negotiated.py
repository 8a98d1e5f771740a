"""Negotiated congestion: multicast trees on any fabric graph, rerouted until no link is over-used.

PathFinder (McMurchie, Ebeling, FPGA 1995) for nets with many sinks, every wire bundle counted alike, tile inputs too. Departures:
only nets on over-used links are rerouted; the price of a link follows its relative over-use, multiplicatively and in both directions, as in
Lagrangian relaxation, instead of a history that only adds up; the best state seen is handed back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import HardwareError
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.search import Graph, Work, graph_of, grow_tree, work_of
from tilewire.mapping.trees import Trees, loads

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Effort:
    """How long and how hard nets negotiate.

    A link costs price (1 + pressure * over-use with one more net). ``pressure`` starts at ``start`` and grows by ``growth`` a round up to
    ``top``. Each round multiplies the price of an over-used link by 1 + ``rise`` * min(over-use / capacity, 1) and that of a link with
    room by 1 - ``fall`` * free share, down to 1. The search ends after ``rounds``, or when the least over-use has not fallen to
    `PROGRESS` of what it was within the work of ``patience`` searches per net, counted in nodes.
    """

    rounds: int = 150
    patience: float = 8.0
    start: float = 0.5
    growth: float = 1.1
    top: float = 5.0
    rise: float = 4.0
    fall: float = 0.1
    margin: int = 3  # canvas positions by which a search may leave the box of its net


PROGRESS = 0.7
DEAREST = 1e12  # price at which a link is as good as closed


@dataclass(frozen=True, eq=False)
class Negotiation:
    """Trees, the over-use left (0: they fit), the rounds used and the last link prices >= 1, float64 [links]."""

    trees: Trees
    overuse: int
    rounds: int
    price: Floats


@njit(cache=True)
def _reroute(
    nets: Longs, begin: int, ptr: Longs, start: Ints, sink: Ints, boxes: Ints, graph: Graph, capacity: Ints, price: Floats,
    pressure: float, cost: Floats, load: Ints, first: Longs, size: Ints, pool: Ints, tail: int, work: Work, number: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Rip up and route nets[begin:] until the pool is full; returns (nets done or -1 if unroutable, end of the pool, searches)."""
    tree = np.empty(graph.row.size, np.int32)
    whole = np.array([0, 1 << 30, 0, 1 << 30], np.int32)
    for i in range(begin, nets.size):
        net = nets[i]
        for link in pool[first[net] : first[net] + size[net]]:
            load[link] -= 1
            cost[link] = price[link] * (1 + pressure * max(0, load[link] + 1 - capacity[link]))
        number += 1
        sinks = sink[ptr[net] : ptr[net + 1]]
        used = grow_tree(graph, cost, start[net], sinks, boxes[net], work, number, tree)
        if used < 0:
            number += 1
            used = grow_tree(graph, cost, start[net], sinks, whole, work, number, tree)
            if used < 0:
                return -1, tail, number
        if used > size[net] and tail + used > pool.size:  # put the old tree back: the caller makes room and comes again
            for link in pool[first[net] : first[net] + size[net]]:
                load[link] += 1
            return i, tail, number
        if used > size[net]:
            first[net] = tail
            tail += used
        size[net] = used
        pool[first[net] : first[net] + used] = tree[:used]
        for link in tree[:used]:
            load[link] += 1
            cost[link] = price[link] * (1 + pressure * max(0, load[link] + 1 - capacity[link]))
    return nets.size, tail, number


@njit(cache=True)
def _congested(first: Longs, size: Ints, pool: Ints, load: Ints, capacity: Ints) -> Longs:
    """Nets that cross an over-used link."""
    found = np.empty(size.size, np.int64)
    n = 0
    for net in range(size.size):
        for link in pool[first[net] : first[net] + size[net]]:
            if load[link] > capacity[link]:
                found[n] = net
                n += 1
                break
    return found[:n]


class _State:
    """Nets, their trees in a pool, and link loads."""

    def __init__(self, fabric: TileFabric, branches: Connectivity, placement: Ints, effort: Effort) -> None:
        wired = branches.without_own(placement)
        self.fabric, self.graph, self.work = fabric, graph_of(fabric), work_of(fabric.n_nodes)
        self.ptr, self.sink = wired.ptr.astype(np.int64), fabric.tile_node[wired.target]
        self.start = fabric.tile_node[placement]
        self.boxes = self._boxes(wired.source, effort.margin)
        self.routed = np.flatnonzero(np.diff(self.ptr))
        self.first, self.size = np.zeros(branches.n_sources, np.int64), np.zeros(branches.n_sources, np.int32)
        self.pool, self.tail = np.empty(8 * len(wired) + fabric.n_nodes, np.int32), 0
        self.load = np.zeros(fabric.n_links, np.int32)
        self.number = 0

    @property
    def spent(self) -> int:
        """Nodes that searches have looked at."""
        return int(self.work.spent[0])

    @property
    def whole(self) -> float:
        """Nodes that one search per net would look at if it filled its box."""
        rows, columns = self.fabric.canvas
        box = self.boxes[self.routed]
        tall = np.minimum(box[:, 1], rows - 1) - np.maximum(box[:, 0], 0) + 1
        broad = np.minimum(box[:, 3], columns - 1) - np.maximum(box[:, 2], 0) + 1
        return float(np.dot(tall, broad)) * self.fabric.n_nodes / (rows * columns)

    def _boxes(self, owner: Ints, margin: int) -> Ints:
        """First row, last row, first column, last column of each net's terminals, widened by the margin."""
        box = np.empty((self.start.size, 4), np.int32)
        for at, axis in ((0, self.fabric.row), (2, self.fabric.column)):
            box[:, at] = box[:, at + 1] = axis[self.start]
            np.minimum.at(box[:, at], owner, axis[self.sink])
            np.maximum.at(box[:, at + 1], owner, axis[self.sink])
        return box + np.array([-margin, margin, -margin, margin], np.int32)

    def warm(self, trees: Trees) -> None:
        """Begin with given trees."""
        self.first, self.size = trees.ptr[:-1].copy(), np.diff(trees.ptr).astype(np.int32)
        self.pool, self.tail = np.concatenate([trees.link, self.pool]), trees.link.size
        self.load = loads(self.fabric, trees)

    def reroute(self, nets: Longs, capacity: Ints, price: Floats, pressure: float) -> None:
        """Rip up and route the nets one after the other, each seeing the loads that the others left."""
        done = 0
        while True:
            cost = price * (1 + pressure * np.maximum(0, self.load + 1 - capacity))
            done, self.tail, self.number = _reroute(
                nets, done, self.ptr, self.start, self.sink, self.boxes, self.graph, capacity, price, pressure, cost, self.load,
                self.first, self.size, self.pool, self.tail, self.work, self.number,
            )  # fmt: skip
            if done < 0:
                raise HardwareError("a tile cannot be reached from a net's source", hint="check the fabric's links")
            if done == nets.size:
                return
            self._make_room()

    def _make_room(self) -> None:
        """Close the gaps of the pool and double it."""
        trees = self.trees()
        self.first, self.tail = trees.ptr[:-1].copy(), trees.link.size
        self.pool = np.concatenate([trees.link, np.empty(max(self.pool.size, self.fabric.n_nodes), np.int32)])

    def trees(self) -> Trees:
        ptr = np.concatenate([[0], np.cumsum(self.size, dtype=np.int64)])
        index = np.repeat(self.first - ptr[:-1], self.size) + np.arange(ptr[-1])
        return Trees(ptr, self.pool[index])


def negotiate(
    fabric: TileFabric,
    branches: Connectivity,
    placement: Ints,
    *,
    capacity: Ints | None = None,
    effort: Effort | None = None,
    rng: np.random.Generator,
    warm: Trees | None = None,
) -> Negotiation:
    """Route branches neuron -> tile within ``capacity`` [links] (default: the fabric's) as well as the effort allows.

    ``warm`` trees, if given, are kept where they do not overload. Raises `HardwareError` if a tile cannot be reached at all.
    """
    effort = effort or Effort()
    limit = fabric.capacity if capacity is None else capacity
    state = _State(fabric, branches, placement, effort)
    price, pressure = np.ones(fabric.n_links), effort.start
    if warm is None:
        state.reroute(state.routed, limit, price, pressure)
    else:
        state.warm(warm)
    best, best_trees = _overuse(state.load, limit), state.trees()
    mark, patience = best, effort.patience * state.whole
    until, turn = state.spent + patience, 0
    while best > 0 and turn < effort.rounds and state.spent < until:
        turn += 1
        price = _repriced(price, state.load, limit, effort)
        nets = rng.permutation(_congested(state.first, state.size, state.pool, state.load, limit))
        state.reroute(nets, limit, price, pressure)
        pressure = min(pressure * effort.growth, effort.top)
        over = _overuse(state.load, limit)
        if over < best:
            best, best_trees = over, state.trees()
        if best <= PROGRESS * mark:
            mark, until = best, state.spent + patience
    return Negotiation(best_trees, best, turn, price)


def _repriced(price: Floats, load: Ints, limit: Ints, effort: Effort) -> Floats:
    """Prices after a round, see `Effort`."""
    excess = (load - limit) / np.maximum(limit, 1)
    up, down = 1 + effort.rise * np.clip(excess, 0, 1), 1 - effort.fall * np.clip(-excess, 0, 1)
    new: Floats = np.clip(price * up * down, 1, DEAREST)
    return new


def _overuse(load: Ints, capacity: Ints) -> int:
    """Nets above capacity, summed over links."""
    return int(np.maximum(0, load - capacity).sum())
