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
def _pairs(origin: Ints, target: Ints, n_tiles: int) -> tuple[Ints, Ints]:
    """Index of each branch's (source tile, target tile) pair and the first branch of each pair.

    The neurons of a tile mostly follow each other, so one row of the pair table is enough; a pair met again later is listed again.
    """
    stamp, known = np.full(n_tiles, -1, np.int32), np.empty(n_tiles, np.int32)
    pair, first = np.empty(target.size, np.int32), np.empty(target.size, np.int32)
    n = 0
    for b in range(target.size):
        t = target[b]
        if stamp[t] != origin[b]:
            stamp[t], known[t], first[n] = origin[b], n, b
            n += 1
        pair[b] = known[t]
    return pair, first[:n]


@njit(cache=True)
def _walk(
    source: Ints, start: Ints, pair: Ints, port: NDArray[np.int8], length: Ints, link_at: Ints, link_target: Ints,
    link: Ints, count: NDArray[np.int64],
) -> int:  # fmt: skip
    """List the links of each branch that its net does not hold yet; -1 if a path leaves the fabric."""
    stamp = np.full(link_target.size, -1, np.int32)
    used = 0
    for b in range(source.size):
        neuron, node, p = source[b], start[b], pair[b]
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
                    count[neuron] += 1
    return used


def route_one_turn(fabric: TileFabric, branches: Connectivity, placement: Ints) -> Trees:
    """Trees of the family's fixed paths for branches neuron -> tile. Raises `HardwareError` if a path leaves the fabric.

    Linear in the links walked. On Mosaic the loads equal the published one-turn router's to the port.
    """
    wired = branches.without_own(placement)
    origin = placement[wired.source]
    pair, first = _pairs(origin, wired.target, fabric.n_tiles)
    port, length = fabric.fixed_path(fabric, origin[first], wired.target[first])
    count = np.zeros(branches.n_sources, np.int64)
    link = np.empty(int(length.sum(axis=1)[pair].sum()), np.int32)
    used = _walk(
        wired.source, fabric.tile_node[origin], pair, port, length, fabric.link_at, fabric.link_target, link, count
    )
    if used < 0:
        raise HardwareError(f"a fixed path of family '{fabric.family}' leaves by a port without a link")
    return Trees(np.concatenate([[0], np.cumsum(count)]), link[:used])


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
