"""A forest of multicast trees, one per net, grown and pruned branch by branch inside the channels of a fabric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.search import Graph, Work, graph_of, lift, take, work_of
from tilewire.mapping.trees import Trees

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
NONE = -1


class Hops(NamedTuple):
    """A pool of tree hops. Net i is the list head[i], following[head[i]], ...; a hop stands after the hop ``feeder`` that feeds it.

    ``link`` is the fabric's link, ``users`` counts the hops it feeds, plus one if it enters a sink tile. ``free[:top[0]]`` are unused.
    """

    head: Ints
    tail: Ints
    following: Ints
    previous: Ints
    link: Ints
    feeder: Ints
    users: Ints
    free: Ints
    top: Longs


@njit(cache=True)
def _search(
    hops: Hops,
    graph: Graph,
    end: Ints,
    load: Ints,
    capacity: Ints,
    work: Work,
    number: int,
    net: int,
    home: int,
    sink: int,
    at: Ints,
) -> bool:
    """Dijkstra from all routers of a net's tree and its tile to a sink tile over links with a free channel; link cost 1 + load / capacity.

    ``at`` [nodes] receives the hop by which the tree enters each of its nodes; ``work.parent`` the graph entry that reaches a new node.
    """
    n = 0
    at[home] = NONE
    work.inside[home] = work.seen[home] = number
    work.distance[home] = 0.0
    n = lift(work, n, home)
    hop = hops.head[net]
    while hop != NONE:
        node = end[hops.link[hop]]
        if not graph.is_tile[node]:
            at[node] = hop
            work.inside[node] = work.seen[node] = number
            work.distance[node] = 0.0
            n = lift(work, n, node)
        hop = hops.following[hop]
    found = False
    while n > 0:
        node = work.heap[0]
        if node == sink:
            found = True
            break
        n = take(work, n)
        for k in range(graph.ptr[node], graph.ptr[node + 1]):
            link, other = graph.link[k], graph.target[k]
            if load[link] >= capacity[link] or (graph.is_tile[other] and other != sink) or work.inside[other] == number:
                continue
            distance = work.distance[node] + 1.0 + load[link] / capacity[link]
            if work.seen[other] != number or distance < work.distance[other]:
                work.seen[other] = number
                work.distance[other] = distance
                work.parent[other] = k
                n = lift(work, n, other)
    for k in range(n):
        work.at[work.heap[k]] = NONE
    return found


@njit(cache=True)
def _attach(
    hops: Hops, graph: Graph, load: Ints, work: Work, number: int, net: int, sink: int, at: Ints, path: Ints
) -> None:
    """Append the path that `_search` found to the tree."""
    length, node = 0, sink
    while work.inside[node] != number:
        path[length] = work.parent[node]
        node = graph.source[path[length]]
        length += 1
    feeder = at[node]
    for i in range(length - 1, -1, -1):
        hops.top[0] -= 1
        hop = hops.free[hops.top[0]]
        hops.link[hop] = graph.link[path[i]]
        hops.feeder[hop] = feeder
        hops.users[hop] = 0
        hops.following[hop] = NONE
        hops.previous[hop] = hops.tail[net]
        if hops.tail[net] == NONE:
            hops.head[net] = hop
        else:
            hops.following[hops.tail[net]] = hop
        hops.tail[net] = hop
        load[hops.link[hop]] += 1
        if feeder != NONE:
            hops.users[feeder] += 1
        feeder = hop
    hops.users[feeder] += 1


@njit(cache=True)
def _prune(hops: Hops, end: Ints, load: Ints, net: int, sink: int) -> bool:
    """Give up a sink and every hop that then feeds nothing."""
    hop = hops.head[net]
    while hop != NONE and end[hops.link[hop]] != sink:
        hop = hops.following[hop]
    if hop == NONE:
        return False
    while hop != NONE:
        hops.users[hop] -= 1
        if hops.users[hop] > 0:
            break
        before, after, feeder = hops.previous[hop], hops.following[hop], hops.feeder[hop]
        if before == NONE:
            hops.head[net] = after
        else:
            hops.following[before] = after
        if after == NONE:
            hops.tail[net] = before
        else:
            hops.previous[after] = before
        load[hops.link[hop]] -= 1
        hops.free[hops.top[0]] = hop
        hops.top[0] += 1
        hop = feeder
    return True


@njit(cache=True)
def _fill(
    keys: Longs, wanted: int, linked: NDArray[np.bool_], tile_of: Ints, tile_node: Ints, hops: Hops, graph: Graph, end: Ints, load: Ints,
    capacity: Ints, work: Work, number: int, at: Ints, path: Ints, room: int,
) -> tuple[Longs, int]:  # fmt: skip
    """Try branches in the order of ``keys`` (neuron * tiles + tile); returns those added and how many keys were consumed.

    Stops early when the pool could run out of hops.
    """
    added = np.empty(wanted, np.int64)
    n, used = 0, 0
    tiles = tile_node.size
    for key in keys:
        if n == wanted or hops.top[0] < room:
            break
        used += 1
        net, tile = key // tiles, key % tiles
        if linked[key] or tile_of[net] == tile:
            continue
        home, sink = tile_node[tile_of[net]], tile_node[tile]
        if _search(hops, graph, end, load, capacity, work, number + used, net, home, sink, at):
            _attach(hops, graph, load, work, number + used, net, sink, at, path)
            linked[key] = True
            added[n] = key
            n += 1
    return added[:n], used


class Forest:
    """Trees of a changing set of branches neuron -> tile; every link stays within its capacity by construction.

    Adding a branch extends the net's tree by its cheapest path through free channels; removing one prunes what then feeds nothing.
    """

    def __init__(self, fabric: TileFabric, placement: Ints, capacity: Ints | None = None) -> None:
        self.fabric, self.placement = fabric, np.asarray(placement, np.int32)
        self.capacity = fabric.capacity if capacity is None else capacity  # int32 [links], read at every search
        self.load = np.zeros(fabric.n_links, np.int32)
        self._graph, self._work = graph_of(fabric), work_of(fabric.n_nodes)
        self._at, self._path = np.full(fabric.n_nodes, NONE, np.int32), np.empty(fabric.n_nodes, np.int32)
        self._number = 0
        pool = max(1 << 12, 4 * fabric.n_nodes)
        head, tail = (np.full(fabric.n_neurons, NONE, np.int32) for _ in range(2))
        following, previous, link, feeder, users = (np.zeros(pool, np.int32) for _ in range(5))
        free, top = np.arange(pool, dtype=np.int32), np.array([pool], np.int64)
        self._hops = Hops(head, tail, following, previous, link, feeder, users, free, top)

    def _reserve(self, hops: int) -> None:
        """Double the pool until so many hops are free."""
        while self._hops.top[0] < hops:
            pool, old = self._hops.link.size, self._hops
            wider = {name: np.concatenate([getattr(old, name), np.zeros(pool, np.int32)]) for name in Hops._fields[2:7]}
            free = np.concatenate([old.free[: old.top[0]], np.arange(pool, 2 * pool, dtype=np.int32)])
            free = np.concatenate([free, np.zeros(2 * pool - free.size, np.int32)])
            self._hops = old._replace(**wider, free=free, top=old.top + pool)

    def _find(self, neuron: int, tile: int) -> bool:
        self._number += 1
        node = self.fabric.tile_node
        found: bool = _search(
            self._hops, self._graph, self.fabric.link_target, self.load, self.capacity, self._work, self._number,
            neuron, node[self.placement[neuron]], node[tile], self._at,
        )  # fmt: skip
        return found

    def reaches(self, neuron: int, tile: int) -> bool:
        """Whether a path with a free channel on every new link leads from the net's tree into the tile."""
        return self._find(neuron, tile)

    def extension(self, neuron: int, tile: int) -> Ints | None:
        """Links that `add` would take, None if there is no free path."""
        if not self._find(neuron, tile):
            return None
        node, links = int(self.fabric.tile_node[tile]), []
        while self._work.inside[node] != self._number:
            entry = self._work.parent[node]
            links.append(self._graph.link[entry])
            node = int(self._graph.source[entry])
        return np.array(links, np.int32)

    def add(self, neuron: int, tile: int) -> bool:
        """Extend a net to a tile it does not reach yet; False, and nothing changed, if no free path exists."""
        self._reserve(self.fabric.n_nodes)
        if not self._find(neuron, tile):
            return False
        sink = self.fabric.tile_node[tile]
        _attach(self._hops, self._graph, self.load, self._work, self._number, neuron, sink, self._at, self._path)
        return True

    def remove(self, neuron: int, tile: int) -> bool:
        """Prune a tile from a net; False if the net does not reach it."""
        pruned: bool = _prune(self._hops, self.fabric.link_target, self.load, neuron, self.fabric.tile_node[tile])
        return pruned

    def fill(self, keys: Longs, wanted: int, linked: NDArray[np.bool_]) -> Longs:
        """Try branches ``neuron * tiles + tile`` in order until ``wanted`` are added; ``linked`` [neurons * tiles] is kept up to date."""
        added: list[Longs] = []
        start = 0
        while wanted > 0 and start < keys.size:
            self._reserve(2 * self.fabric.n_nodes)
            done, used = _fill(
                keys[start:], wanted, linked, self.placement, self.fabric.tile_node, self._hops, self._graph,
                self.fabric.link_target, self.load, self.capacity, self._work, self._number, self._at, self._path,
                self.fabric.n_nodes,
            )  # fmt: skip
            self._number += used
            start += used
            wanted -= done.size
            added.append(done)
        return np.concatenate(added) if added else np.empty(0, np.int64)

    def trees(self) -> Trees:
        """The trees as they stand, a hop after the one that feeds it."""
        hops = self._hops
        nets: list[list[int]] = []
        for hop in hops.head.tolist():
            net = []
            while hop != NONE:
                net.append(int(hops.link[hop]))
                hop = int(hops.following[hop])
            nets.append(net)
        ptr = np.concatenate([[0], np.cumsum([len(net) for net in nets])]).astype(np.int64)
        return Trees(ptr, np.array([link for net in nets for link in net], np.int32))

    def plant(self, trees: Trees) -> None:
        """Take over trees (a hop after the one that feeds it) in place of those that stand."""
        self._clear()
        fabric = self.fabric
        for net in range(fabric.n_neurons):
            links = trees.of(net)
            self._reserve(links.size)
            entered: dict[int, int] = {}
            for link in links.tolist():
                self._plant_hop(net, link, entered.get(int(fabric.link_source[link]), NONE), entered)

    def _clear(self) -> None:
        pool = self._hops.link.size
        self._hops.head[:] = self._hops.tail[:] = NONE
        self._hops.free[:] = np.arange(pool)
        self._hops.top[0] = pool
        self.load[:] = 0

    def _plant_hop(self, net: int, link: int, feeder: int, entered: dict[int, int]) -> None:
        hops, end = self._hops, int(self.fabric.link_target[link])
        hops.top[0] -= 1
        hop = int(hops.free[hops.top[0]])
        last = int(hops.tail[net])
        hops.link[hop], hops.feeder[hop], hops.following[hop], hops.previous[hop] = link, feeder, NONE, last
        hops.users[hop] = int(self.fabric.kind[end] == 0)
        if last == NONE:
            hops.head[net] = hop
        else:
            hops.following[last] = hop
        hops.tail[net] = hop
        self.load[link] += 1
        if feeder != NONE:
            hops.users[feeder] += 1
        entered[end] = hop

    def branches(self) -> Connectivity:
        """The branches that the trees serve."""
        trees, fabric = self.trees(), self.fabric
        into = fabric.kind[fabric.link_target[trees.link]] == 0
        tile = fabric.tile_index[fabric.link_target[trees.link[into]]]
        return Connectivity.of(trees.owner[into], tile, fabric.n_neurons, fabric.n_tiles)


def grow_trees(
    forest: Forest, branches: Connectivity, arrays: Mapping[str, NDArray[Any]] | None, add: Callable[[int, int], object]
) -> None:
    """Fill an empty forest: with saved trees (``tree_ptr``, ``tree_link``) as they are, else branch by branch, in order, by ``add``.

    Raises `BudgetError` if the trees then serve other branches.
    """
    if arrays is not None and "tree_ptr" in arrays:
        forest.plant(Trees(arrays["tree_ptr"].astype(np.int64), arrays["tree_link"].astype(np.int32)))
    else:
        for source, tile in zip(branches.source.tolist(), branches.target.tolist(), strict=True):
            add(source, tile)
    if forest.branches() != branches.without_own(forest.placement):
        raise BudgetError("the trees do not serve the branches of the network", hint="a checkpoint of another network?")
