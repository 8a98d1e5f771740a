"""Least weight multicast trees, exactly: dynamic programme over subsets of sinks (Dreyfus, Wagner, Networks 1, 1971), on directed links."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.hardware.fabric import TILE, TileFabric
from tilewire.mapping.search import Graph, Work, lift, take

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
FAR = 1e15


class Table(NamedTuple):
    """``value`` [subsets, nodes] is the least weight from a node to all sinks of a subset; ``choice`` how: link entry e, or -1 - part."""

    value: Floats
    choice: Ints


def table_of(sinks: int, nodes: int) -> Table:
    """Scratch for nets of up to ``sinks`` sinks."""
    return Table(np.empty((1 << sinks, nodes)), np.empty((1 << sinks, nodes), np.int32))


def reversed_graph(fabric: TileFabric) -> Graph:
    """Links sorted by target: the entries of node v are the links into v; the field ``target`` is the node they come from."""
    order = np.argsort(fabric.link_target, kind="stable").astype(np.int32)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(fabric.link_target, minlength=fabric.n_nodes))]).astype(np.int32)
    into, comes_from = fabric.link_target[order], fabric.link_source[order]
    return Graph(ptr, order, into, comes_from, fabric.row, fabric.column, fabric.kind == TILE)


@njit(cache=True)
def _close(back: Graph, cost: Floats, value: Floats, choice: Ints, nodes: Ints, work: Work) -> None:
    """Lower value[v] to the least cost(v -> u) + value[u] over the routers of ``nodes``: Dijkstra on reversed links from all at once."""
    distance = work.distance
    n = 0
    for v in nodes:
        distance[v] = value[v]
        if value[v] < FAR:
            n = lift(work, n, v)
    while n > 0:
        v = work.heap[0]
        n = take(work, n)
        for k in range(back.ptr[v], back.ptr[v + 1]):
            u = back.target[k]
            reach = distance[v] + cost[back.link[k]]
            if reach < distance[u]:  # -1 outside the box and on tiles: never lowered
                distance[u] = reach
                choice[u] = k
                n = lift(work, n, u)
    for v in nodes:
        value[v] = distance[v]


@njit(cache=True)
def _fill(
    back: Graph, out: Graph, cost: Floats, start: int, sinks: Ints, nodes: Ints, work: Work, table: Table
) -> None:
    """Fill the table for one net; the column of ``start`` holds the tree from the source tile."""
    value, choice = table
    for group in range(1, 1 << sinks.size):
        low = group & -group
        row, how = value[group], choice[group]
        row[nodes] = FAR
        row[start] = FAR
        if group == low:
            i = 0
            while (1 << i) != low:
                i += 1
            for k in range(back.ptr[sinks[i]], back.ptr[sinks[i] + 1]):
                router = back.target[k]
                if cost[back.link[k]] < row[router] and work.distance[router] >= 0:
                    row[router], how[router] = cost[back.link[k]], k
        part = (group - 1) & group
        while part > 0:
            if part & low:  # each split once
                one, rest = value[part], value[group ^ part]
                for v in nodes:
                    if one[v] + rest[v] < row[v]:
                        row[v], how[v] = one[v] + rest[v], -1 - part
                if one[start] + rest[start] < row[start]:
                    row[start], how[start] = one[start] + rest[start], -1 - part
            part = (part - 1) & group
        _close(back, cost, row, how, nodes, work)
        for e in range(out.ptr[start], out.ptr[start + 1]):
            router = out.target[e]
            if work.distance[router] >= 0 and cost[out.link[e]] + row[router] < row[start]:
                row[start], how[start] = cost[out.link[e]] + row[router], e


@njit(cache=True)
def _unfold(back: Graph, out: Graph, start: int, sinks: int, table: Table, stack: Ints, tree: Ints) -> int:
    """Write the links of the tree, parent before child; returns their count."""
    used, n = 0, 1
    stack[0, 0], stack[0, 1] = (1 << sinks) - 1, start
    while n > 0:
        n -= 1
        group, node = stack[n, 0], stack[n, 1]
        how = table.choice[group, node]
        if how < 0:
            part = -1 - how
            stack[n, 0], stack[n, 1] = part, node
            stack[n + 1, 0], stack[n + 1, 1] = group ^ part, node
            n += 2
        elif node == start:
            tree[used] = out.link[how]
            used += 1
            stack[n, 0], stack[n, 1] = group, out.target[how]
            n += 1
        else:
            tree[used] = back.link[how]
            used += 1
            if not back.is_tile[back.source[how]]:
                stack[n, 0], stack[n, 1] = group, back.source[how]
                n += 1
    return used


@njit(cache=True)
def steiner_tree(
    back: Graph,
    out: Graph,
    cost: Floats,
    start: int,
    sinks: Ints,
    box: Ints,
    work: Work,
    table: Table,
    tree: Ints,
) -> tuple[float, int]:
    """Least cost and link count of a tree from a source tile to sinks (nodes) inside a canvas box; links in ``tree``, parent before child.

    With positive costs the links form a tree. Cost is `FAR` or more, count -1, where a sink cannot be reached inside the box.
    O(3^k nodes + 2^k searches) for k sinks.
    """
    nodes = np.empty(back.row.size, np.int32)
    n = 0
    for v in range(back.row.size):
        inside = box[0] <= back.row[v] <= box[1] and box[2] <= back.column[v] <= box[3] and not back.is_tile[v]
        work.distance[v] = 0.0 if inside else -1.0
        if inside:
            nodes[n] = v
            n += 1
    _fill(back, out, cost, start, sinks, nodes[:n], work, table)
    least = table.value[(1 << sinks.size) - 1, start]
    if least >= FAR:
        return least, -1
    stack = np.empty((2 * sinks.size + 2, 2), np.int32)
    return least, _unfold(back, out, start, sinks.size, table, stack, tree)


@njit(cache=True)
def price_nets(
    back: Graph, out: Graph, cost: Floats, ptr: Longs, sink: Ints, start: Ints, times: Ints, work: Work, table: Table
) -> tuple[Floats, Floats]:
    """Least tree cost of each net, and the load of those trees, ``times`` counting equal nets."""
    need, load = np.zeros(start.size), np.zeros(cost.size)
    tree = np.empty(cost.size, np.int32)
    whole = np.array([0, 1 << 30, 0, 1 << 30], np.int32)
    for net in range(start.size):
        need[net], used = steiner_tree(
            back, out, cost, start[net], sink[ptr[net] : ptr[net + 1]], whole, work, table, tree
        )
        for link in tree[: max(used, 0)]:
            load[link] += times[net]
    return need, load
