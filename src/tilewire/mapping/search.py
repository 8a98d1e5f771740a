"""Steiner trees by one Dijkstra search per net: the inner loop of negotiated routing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.hardware.fabric import TILE, TileFabric

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]


class Graph(NamedTuple):
    """Links in order of their source node: those of node v are entries ``ptr[v]:ptr[v+1]``; ``row``, ``column`` are canvas positions."""

    ptr: Ints
    link: Ints
    source: Ints
    target: Ints
    row: Ints
    column: Ints
    is_tile: Bits


class Work(NamedTuple):
    """Scratch of a search: one entry per node; ``seen``, ``inside`` (in the tree) and ``wanted`` hold the number of the search.

    ``spent`` [1] counts the nodes that `grow_tree` took from the heap: the unit in which effort is limited, equal on every machine.
    """

    distance: Floats
    parent: Ints
    seen: Ints
    inside: Ints
    wanted: Ints
    heap: Ints
    at: Ints  # position in the heap, -1 outside
    spent: Longs


def graph_of(fabric: TileFabric) -> Graph:
    """The links of a fabric, sorted by source node."""
    order = np.argsort(fabric.link_source, kind="stable").astype(np.int32)
    count = np.bincount(fabric.link_source, minlength=fabric.n_nodes)
    ptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
    source, target = fabric.link_source[order], fabric.link_target[order]
    return Graph(ptr, order, source, target, fabric.row, fabric.column, fabric.kind == TILE)


def work_of(nodes: int) -> Work:
    """Fresh scratch."""
    absent = [np.full(nodes, -1, np.int32) for _ in range(4)]
    return Work(
        np.zeros(nodes),
        absent[0],
        absent[1],
        absent[2],
        absent[3],
        np.zeros(nodes, np.int32),
        np.full(nodes, -1, np.int32),
        np.zeros(1, np.int64),
    )


@njit(cache=True)
def lift(work: Work, n: int, node: int) -> int:
    """Enter a node into the heap of n nodes, or move it up after its distance fell; returns the new n."""
    distance, heap, position = work.distance, work.heap, work.at
    at = position[node]
    if at < 0:
        at = n
        n += 1
    value = distance[node]
    while at > 0:
        up = (at - 1) >> 1
        above = heap[up]
        if distance[above] <= value:
            break
        heap[at] = above
        position[above] = at
        at = up
    heap[at] = node
    position[node] = at
    return n


@njit(cache=True)
def take(work: Work, n: int) -> int:
    """Remove the nearest node, the root of a heap of n nodes."""
    distance, heap, position = work.distance, work.heap, work.at
    position[heap[0]] = -1
    n -= 1
    if n == 0:
        return 0
    node = heap[n]
    value = distance[node]
    at = 0
    while True:
        down = 2 * at + 1
        if down >= n:
            break
        if down + 1 < n and distance[heap[down + 1]] < distance[heap[down]]:
            down += 1
        below = heap[down]
        if distance[below] >= value:
            break
        heap[at] = below
        position[below] = at
        at = down
    heap[at] = node
    position[node] = at
    return n


@njit(cache=True)
def grow_tree(
    graph: Graph,
    cost: Floats,
    start: int,
    sinks: Ints,
    box: Ints,
    work: Work,
    number: int,
    tree: Ints,
) -> int:
    """Write the links of one net's tree, parent before child; returns their count, -1 if a sink cannot be reached inside the box.

    One search serves all sinks: reaching the nearest puts its path into the tree at distance 0, and the search goes on from there.
    ``box`` is (first row, last row, first column, last column) of the canvas. Tiles other than the source are entered, never left.
    """
    distance, parent, seen, inside, wanted, heap, position, spent = work
    for sink in sinks:
        wanted[sink] = number
    missing, used = sinks.size, 0
    distance[start], seen[start], inside[start] = 0.0, number, number
    n = lift(work, 0, start)
    while n > 0 and missing > 0:
        node = heap[0]
        n = take(work, n)
        spent[0] += 1
        if wanted[node] == number:
            wanted[node] = -1
            missing -= 1
            first, at = used, node
            while inside[at] != number:
                tree[used] = graph.link[parent[at]]
                used += 1
                inside[at] = number
                if at != node:
                    distance[at] = 0.0
                    n = lift(work, n, at)
                at = graph.source[parent[at]]
            tree[first:used] = tree[first:used][::-1].copy()
            continue
        here = distance[node]
        for k in range(graph.ptr[node], graph.ptr[node + 1]):
            other = graph.target[k]
            if graph.is_tile[other] and wanted[other] != number:
                continue
            reach = here + cost[graph.link[k]]
            if seen[other] == number:
                if reach >= distance[other]:
                    continue
            elif not (box[0] <= graph.row[other] <= box[1] and box[2] <= graph.column[other] <= box[3]):
                continue
            seen[other], distance[other], parent[other] = number, reach, k
            n = lift(work, n, other)
    for k in range(n):
        position[heap[k]] = -1
    return used if missing == 0 else -1
