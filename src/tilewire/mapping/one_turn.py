"""Fixed paths: every branch follows the path that the hardware family names, and the paths of a net are merged."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import HardwareError
from tilewire.hardware.fabric import TileFabric
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
def _walk(
    source: Ints, pair: Ints, start: Ints, port: NDArray[np.int8], length: Ints, link_at: Ints, link_target: Ints,
    link: Ints, ptr: NDArray[np.int64],
) -> int:  # fmt: skip
    """List the links of each branch that its net does not hold yet, ``start`` [neurons] being nodes; -1 if a path leaves the fabric."""
    stamp = np.full(link_target.size, -1, np.int32)
    used, b = 0, 0
    for neuron in range(start.size):
        while b < source.size and source[b] == neuron:
            p, node = pair[b], start[neuron]
            b += 1
            if p < 0:
                continue
            for k in range(port.shape[1]):
                out = port[p, k]
                for _ in range(length[p, k]):
                    at = link_at[node, out]
                    if at < 0:
                        return -1
                    node = link_target[at]
                    if stamp[at] != neuron:
                        stamp[at] = neuron
                        link[used] = at
                        used += 1
        ptr[neuron + 1] = used
    return used


def route_one_turn(fabric: TileFabric, branches: Connectivity, placement: Ints) -> Trees:
    """Trees of the family's fixed paths for branches neuron -> tile. Raises `HardwareError` if a path leaves the fabric.

    Linear in the links walked. On Mosaic the loads equal the published one-turn router's to the port.
    """
    pair, first, times = _pairs(branches.source, branches.target, placement, fabric.n_tiles)
    port, length = fabric.fixed_path(fabric, placement[branches.source[first]], branches.target[first])
    link = np.empty(int(length.sum(axis=1) @ times), np.int32)
    ptr = np.zeros(branches.n_sources + 1, np.int64)
    start = fabric.tile_node[placement]
    used = _walk(branches.source, pair, start, port, length, fabric.link_at, fabric.link_target, link, ptr)
    if used < 0:
        raise HardwareError(f"a fixed path of family '{fabric.family}' leaves by a port without a link")
    return Trees(ptr, link[:used])


def route_one_turn_reference(fabric: TileFabric, branches: Connectivity, placement: Ints) -> Trees:
    """The same trees, one hop after the other in plain Python: slow, obvious, the oracle of `route_one_turn`."""
    link_of = {(int(n), int(p)): i for i, (n, p) in enumerate(zip(fabric.link_source, fabric.link_port, strict=True))}
    tree: list[dict[int, None]] = [{} for _ in range(branches.n_sources)]
    for neuron, target in zip(branches.source.tolist(), branches.target.tolist(), strict=True):
        if placement[neuron] == target:
            continue
        ports, lengths = fabric.fixed_path(fabric, placement[[neuron]], np.array([target], np.int32))
        node = int(fabric.tile_node[placement[neuron]])
        for port, length in zip(ports[0].tolist(), lengths[0].tolist(), strict=True):
            for _ in range(length):
                link = link_of[node, port]
                tree[neuron][link] = None
                node = int(fabric.link_target[link])
    ptr = np.cumsum([0, *(len(links) for links in tree)])
    return Trees(ptr, np.array([link for links in tree for link in links], np.int32))
