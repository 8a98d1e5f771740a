"""Why nets cannot fit: link weights under which the nets need more than the channels have. A cut is the case of weights 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.cuts import Cut
from tilewire.mapping.search import Graph, Work, graph_of, grow_tree, work_of
from tilewire.mapping.steiner import price_nets, reversed_graph, table_of

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
OUT_LINK = 2
SCALE = 100_000  # largest weight of a certificate
MOST_SINKS = 7
OPERATIONS = 3e9  # of one exact pricing


@dataclass(frozen=True, eq=False)
class Certificate:
    """sum_l weight_l capacity_l = ``capacity`` < ``need`` = sum over nets of the least weight of a tree to the counted sinks.

    Sinks that are not counted may add the lightest link into their tile to ``need``. ``weight`` int64 [links]; net ``nets[i]`` counts
    sink tiles ``sink[ptr[i]:ptr[i+1]]``. ``where`` says it in words.
    `verify.verify_certificate` checks it without trust.
    """

    weight: Longs
    nets: Longs
    ptr: Longs
    sink: Ints
    need: int
    capacity: int
    where: str

    @property
    def counted(self) -> dict[int, tuple[int, ...]]:
        """Sink tiles that each net counts."""
        parts = np.split(self.sink, self.ptr[1:-1])
        return {net: tuple(part.tolist()) for net, part in zip(self.nets.tolist(), parts, strict=True)}

    @property
    def ratio(self) -> float:
        """Need over capacity; above 1 nothing fits."""
        return self.need / self.capacity if self.capacity else (float("inf") if self.need else 1.0)

    def summary(self) -> dict[str, object]:
        return {"where": self.where, "need": self.need, "capacity": self.capacity, "nets": int(self.nets.size)}


@dataclass(frozen=True, eq=False)
class NetClasses:
    """Nets with equal source tile and counted sinks, priced once: ``times`` of each, and the class ``of`` each net."""

    start: Ints
    ptr: Longs
    sink: Ints
    times: Ints
    nets: Longs
    of: Longs


def net_classes(fabric: TileFabric, branches: Connectivity, placement: Ints, most: int) -> NetClasses:
    """Classes of the nets of branches neuron -> tile, each counting its ``most`` farthest sinks."""
    wired = branches.without_own(placement)
    far = -fabric.hop_distance[placement[wired.source], wired.target]
    order = np.lexsort((wired.target, far, wired.source))
    target, ptr = wired.target[order].tolist(), wired.ptr.tolist()
    nets = np.flatnonzero(np.diff(wired.ptr))
    index: dict[tuple[int, ...], int] = {}
    of = [
        index.setdefault((int(placement[i]), *target[ptr[i] : min(ptr[i] + most, ptr[i + 1])]), len(index))
        for i in nets.tolist()
    ]
    sizes = [len(key) - 1 for key in index]
    return NetClasses(
        start=fabric.tile_node[np.array([key[0] for key in index], np.int64)],
        ptr=np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))]),
        sink=np.array([tile for key in index for tile in key[1:]], np.int32),
        times=np.bincount(np.array(of, np.int64), minlength=len(index)).astype(np.int32),
        nets=nets.astype(np.int64),
        of=np.array(of, np.int64),
    )


def of_cut(fabric: TileFabric, cut: Cut) -> Certificate:
    """The certificate of a cut: each of its nets counts one sink beyond it, which costs at least weight 1."""
    weight = np.zeros(fabric.n_links, np.int64)
    weight[cut.links] = 1
    return Certificate(
        weight,
        cut.nets,
        np.arange(cut.nets.size + 1, dtype=np.int64),
        cut.sink,
        int(cut.nets.size),
        cut.capacity,
        cut.where,
    )


@njit(cache=True)
def _buy(
    graph: Graph, price: Floats, start: Ints, ptr: Longs, sink: Ints, times: Ints, work: Work, number: int, load: Floats
) -> tuple[int, float]:
    """Grow a cheap tree for each class of nets; adds their load, returns the number of the last search and the sum paid."""
    tree = np.empty(graph.row.size, np.int32)
    whole = np.array([0, 1 << 30, 0, 1 << 30], np.int32)
    paid = 0.0
    for net in range(start.size):
        number += 1
        used = grow_tree(graph, price, start[net], sink[ptr[net] : ptr[net + 1]], whole, work, number, tree)
        for link in tree[: max(used, 0)]:
            load[link] += times[net]
            paid += times[net] * price[link]
    return number, paid


def _most_sinks(fabric: TileFabric, branches: Connectivity, placement: Ints) -> int:
    """Sinks per net that exact pricing can afford."""
    fan_out = branches.without_own(placement).fan_out
    most = MOST_SINKS
    while most > 2 and float((3.0 ** np.minimum(fan_out, most)).sum()) * fabric.n_nodes > OPERATIONS:
        most -= 1
    return most


def price_bound(
    fabric: TileFabric, branches: Connectivity, placement: Ints, capacity: Ints, price: Floats, *, rounds: int = 80
) -> Certificate:
    """Best weights found for the Lagrangian bound max_y sum_n ST_n(y) / sum_l y_l capacity_l; infeasible if its ``ratio`` exceeds 1.

    Multiplicative weights (Plotkin, Shmoys, Tardos 1995) with the trees of `grow_tree` as the oracle, started from the prices of a failed
    negotiation; the best weights are then priced with exact least weight trees, so that the bound is rigorous whatever the ascent did.
    """
    classes = net_classes(fabric, branches, placement, fabric.n_tiles)
    graph, work, sink = graph_of(fabric), work_of(fabric.n_nodes), fabric.tile_node[classes.sink]
    room = np.maximum(capacity, 0.25)
    free = fabric.link_class == OUT_LINK
    log = np.log((price - 1) / max(float(price.max() - 1), 1e-9) + 0.05) - 0.5 * np.log(room)
    best: list[tuple[float, Floats]] = []
    number = 0
    for turn in range(rounds):
        weight = np.where(free & (capacity >= fabric.neurons_per_tile), 0.0, np.exp(log - log.max()))
        load = np.zeros(fabric.n_links)
        number, paid = _buy(graph, weight + 1e-9, classes.start, classes.ptr, sink, classes.times, work, number, load)
        ratio = paid / max(float(weight @ capacity), 1e-9)
        best = sorted([*best, (ratio, weight)], key=lambda entry: -entry[0])[:2]
        pull = load / room
        log += 4.0 / (1 + turn / 8) * pull / max(float(pull.max()), 1e-9)
    exact = [_exact(fabric, branches, placement, capacity, np.rint(weight * SCALE)) for _, weight in best]
    return max(exact, key=lambda bound: bound.ratio)


def _exact(fabric: TileFabric, branches: Connectivity, placement: Ints, capacity: Ints, weight: Floats) -> Certificate:
    """Price weights with exact trees."""
    classes = net_classes(fabric, branches, placement, _most_sinks(fabric, branches, placement))
    sink = fabric.tile_node[classes.sink]
    most = int(np.diff(classes.ptr).max(initial=1))
    need, _ = price_nets(
        reversed_graph(fabric), graph_of(fabric), weight, classes.ptr, sink, classes.start, classes.times, work_of(fabric.n_nodes),
        table_of(most, fabric.n_nodes),
    )  # fmt: skip
    enter = np.full(fabric.n_nodes, np.inf)
    np.minimum.at(enter, fabric.link_target, weight)
    wired = branches.without_own(placement)
    rest = enter[fabric.tile_node[wired.target]].sum() - enter[sink] @ np.repeat(classes.times, np.diff(classes.ptr))
    start, size = classes.ptr[:-1][classes.of], np.diff(classes.ptr)[classes.of]
    ptr = np.concatenate([[0], np.cumsum(size)])
    index = np.repeat(start - ptr[:-1], size) + np.arange(ptr[-1])
    return Certificate(
        weight.astype(np.int64), classes.nets, ptr.astype(np.int64), classes.sink[index],
        round(float(need @ classes.times + rest)), int(weight @ capacity), f"prices on {int((weight > 0).sum())} links",
    )  # fmt: skip
