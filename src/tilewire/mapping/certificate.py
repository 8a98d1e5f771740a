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
OPERATIONS = 1e9  # of one exact pricing
ROUNDS, CHUNK = 80, 20  # rounds of the ascent in all, and between attempts at a proof
HOPELESS = 0.85  # share of the ratio wanted below which more rounds hardly ever close the rest
START = 0.5  # power of the channels that divides a price at the start


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
    fabric: TileFabric, branches: Connectivity, placement: Ints, capacity: Ints, price: Floats, *, rounds: int = ROUNDS,
    enough: float = 1.0,
) -> Certificate:  # fmt: skip
    """Best weights found for the Lagrangian bound max_y sum_n ST_n(y) / sum_l y_l capacity_l; infeasible if its ``ratio`` exceeds 1.

    Multiplicative weights (Plotkin, Shmoys, Tardos 1995) with the trees of `grow_tree` as the oracle, started from the prices of a failed
    negotiation; the best weights are then priced with exact least weight trees, so that the bound is rigorous whatever the ascent did.
    Every `CHUNK` rounds, weights that look better than ``enough`` are priced by few sinks per net first, which is cheap to find
    and to verify; a ratio above ``enough`` ends the search, and so does one below `HOPELESS` of it.
    """
    ascent = _Ascent(fabric, branches, placement, capacity, price)
    most = _most_sinks(fabric, branches, placement)
    for done in range(CHUNK, rounds + CHUNK, CHUNK):
        ascent.run(done - CHUNK, min(done, rounds))
        if ascent.ratio > enough:  # trees of `grow_tree` cost at least the least, so a lower ratio proves nothing
            for sinks in sorted({1, min(3, most), most}):
                proof = _exact(fabric, branches, placement, capacity, np.rint(ascent.weight * SCALE), sinks)
                if proof.ratio > enough:
                    return proof
            if proof.ratio < HOPELESS * enough:
                return proof
    return _exact(fabric, branches, placement, capacity, np.rint(ascent.weight * SCALE), most)


class _Ascent:
    """Multiplicative weights; ``ratio`` is the most that grown trees paid over what the channels earn.

    ``weight`` [links] is the mean of the weights, each scaled to equal earnings, after the first `CHUNK` rounds: the mean converges where
    the weights themselves keep moving.
    """

    def __init__(
        self, fabric: TileFabric, branches: Connectivity, placement: Ints, capacity: Ints, price: Floats
    ) -> None:
        self.classes = net_classes(fabric, branches, placement, fabric.n_tiles)
        self.graph, self.work, self.sink = (
            graph_of(fabric),
            work_of(fabric.n_nodes),
            fabric.tile_node[self.classes.sink],
        )
        self.capacity, self.room = capacity, np.maximum(capacity, 0.25)
        self.free = (fabric.link_class == OUT_LINK) & (capacity >= fabric.neurons_per_tile)
        self.log = np.log(price) - START * np.log(self.room)
        self.ratio, self.number, self.sum = -1.0, 0, np.zeros(fabric.n_links)

    @property
    def weight(self) -> Floats:
        """Scaled to a largest of 1."""
        scaled: Floats = self.sum / max(float(self.sum.max()), 1e-300)
        return scaled

    def run(self, first: int, last: int) -> None:
        """Rounds ``first`` to ``last``; the step falls as they go on."""
        for turn in range(first, last):
            if turn == CHUNK:
                self.sum[:] = 0
            weight = np.where(self.free, 0.0, np.exp(self.log - self.log.max()))
            load, one = np.zeros(weight.size), self.classes
            self.number, paid = _buy(
                self.graph, weight + 1e-9, one.start, one.ptr, self.sink, one.times, self.work, self.number, load
            )
            earned = max(float(weight @ self.capacity), 1e-9)
            self.ratio = max(self.ratio, paid / earned)
            self.sum += weight / earned
            pull = load / self.room
            self.log += 4.0 / (1 + turn / 8) * pull / max(float(pull.max()), 1e-9)


def _exact(
    fabric: TileFabric, branches: Connectivity, placement: Ints, capacity: Ints, weight: Floats, sinks: int
) -> Certificate:
    """Price weights with exact trees to the ``sinks`` farthest sinks of each net."""
    classes = net_classes(fabric, branches, placement, sinks)
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
