"""Fixed paths: every branch follows the path that the hardware family names, and the paths of a net are merged."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import HardwareError
from tilewire.hardware.fabric import FixedPath, TileFabric
from tilewire.mapping.trees import Trees

Ints = NDArray[np.int32]


@njit(cache=True)
def _pairs(source: Ints, target: Ints, placement: Ints, n_tiles: int) -> tuple[Ints, Ints, Ints]:
    """Index of each branch's (source tile, target tile) pair (-1 on its own tile), the first branch of each pair and its branches.

    The neurons of a tile mostly follow each other, so one row of the pair table is enough; a pair met again later is listed again.
    """
    stamp, known = np.full(n_tiles, -1, np.int32), np.empty(n_tiles, np.int32)
    pair, first, times = (
        np.empty(target.size, np.int32),
        np.empty(target.size, np.int32),
        np.zeros(target.size, np.int32),
    )
    n = 0
    for b in range(target.size):
        t, origin = target[b], placement[source[b]]
        if t == origin:
            pair[b] = -1
            continue
        if stamp[t] != origin:
            stamp[t], known[t], first[n] = origin, n, b
            n += 1
        pair[b] = known[t]
        times[known[t]] += 1
    return pair, first[:n], times[:n]


@njit(cache=True)
def _starts(
    node: Ints, port: NDArray[np.int8], length: Ints, times: Ints, at: Ints, end: Ints, target: Ints
) -> tuple[Ints, int]:
    """Where the runs of the paths from ``node`` [pairs] start in the fabric's lines, and the links that all branches walk.

    The count is -1 if a path leaves the fabric.
    """
    start, walked = np.zeros(port.shape, np.int32), 0
    for p in range(node.size):
        here = node[p]
        for k in range(port.shape[1]):
            n = length[p, k]
            if n == 0:
                continue
            first = at[here, port[p, k]]
            if first < 0 or first + n > end[first]:
                return start, -1
            start[p, k], here = first, target[first + n - 1]
            walked += n * times[p]
    return start, walked


@njit(cache=True, error_model="numpy")
def _walk(
    source: Ints, pair: Ints, start: Ints, length: Ints, line: Ints, links: int, link: Ints, ptr: NDArray[np.int64]
) -> int:
    """List the links of each branch that its net does not hold yet; returns how many. Positions are unsigned: no test for the sign."""
    stamp = np.full(links, -1, np.int32)
    used, known = np.uint64(0), 0
    for b in range(source.size):
        neuron, p = source[b], pair[b]
        while known < neuron:
            known += 1
            ptr[known] = used
        if p < 0:
            continue
        for k in range(start.shape[1]):
            a = np.uint64(start[p, k])
            last = a + np.uint64(length[p, k])
            while a < last:
                at = np.uint64(line[a])
                link[used] = at  # written over unless it is new: a store is cheaper than a guess
                used += np.uint64(stamp[at] != neuron)
                stamp[at] = neuron
                a += np.uint64(1)
    ptr[known + 1 :] = used
    return int(used)


def route_one_turn(fabric: TileFabric, branches: Connectivity, placement: Ints) -> Trees:
    """Trees of the family's fixed paths for branches neuron -> tile. Raises `HardwareError` if a path leaves the fabric.

    Linear in the links walked. On Mosaic the loads equal the published one-turn router's to the port.
    """
    pair, first, times = _pairs(branches.source, branches.target, placement, fabric.n_tiles)
    origin, lines = placement[branches.source[first]], fabric.lines
    port, length = fabric.fixed_path(fabric, origin, branches.target[first])
    start, walked = _starts(fabric.tile_node[origin], port, length, times, lines.at, lines.end, lines.target)
    if walked < 0:
        raise HardwareError(f"a fixed path of family '{fabric.family}' leaves by a port without a link")
    link = np.empty(walked + 1, np.int32)
    ptr = np.zeros(branches.n_sources + 1, np.int64)
    used = _walk(branches.source, pair, start, length, lines.link, fabric.n_links, link, ptr)
    return Trees(ptr, link[:used])


def route_one_turn_reference(
    fabric: TileFabric, branches: Connectivity, placement: Ints, rule: FixedPath | None = None
) -> Trees:
    """The same trees, one hop after the other in plain Python: slow, obvious, the oracle of `route_one_turn`.

    ``rule``: another form of the family's fixed path.
    """
    fixed_path = rule or fabric.fixed_path
    link_of = {(int(n), int(p)): i for i, (n, p) in enumerate(zip(fabric.link_source, fabric.link_port, strict=True))}
    tree: list[dict[int, None]] = [{} for _ in range(branches.n_sources)]
    for neuron, target in zip(branches.source.tolist(), branches.target.tolist(), strict=True):
        if placement[neuron] == target:
            continue
        ports, lengths = fixed_path(fabric, placement[[neuron]], np.array([target], np.int32))
        node = int(fabric.tile_node[placement[neuron]])
        for port, length in zip(ports[0].tolist(), lengths[0].tolist(), strict=True):
            for _ in range(length):
                link = link_of[node, port]
                tree[neuron][link] = None
                node = int(fabric.link_target[link])
    ptr = np.cumsum([0, *(len(links) for links in tree)])
    return Trees(ptr, np.array([link for links in tree for link in links], np.int32))
