"""Lengths of routes in trees: what the slowest delivery of a net has to cross."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.hardware.fabric import EAST, WEST, TileFabric
from tilewire.mapping.trees import Trees

Ints = NDArray[np.int32]


@njit(cache=True)
def _lengths(
    ptr: NDArray[np.int64], link: Ints, home: Ints, source: Ints, target: Ints, kind: NDArray[np.int8], nodes: int
) -> Ints:
    """(east-west, north-south) router hops on the way to the target of each tree entry; ``kind`` of a link: 0, 1, or 2 for neither."""
    along = np.zeros((nodes, 2), np.int32)
    reached = np.full(nodes, -1, np.int32)
    found = np.zeros((link.size, 2), np.int32)
    for net in range(home.size):
        reached[home[net]] = net
        along[home[net]] = 0
        for k in range(ptr[net], ptr[net + 1]):
            at, to = source[link[k]], target[link[k]]
            found[k] = along[at]
            if kind[link[k]] < 2:
                found[k, kind[link[k]]] += 1
            if reached[to] != net:
                reached[to] = net
                along[to] = found[k]
    return found


def hop_kind(fabric: TileFabric) -> NDArray[np.int8]:
    """0 for an east-west link between routers, 1 for a north-south one, 2 for a link into or out of a tile: int8 [links]."""
    sideways = (fabric.link_port == EAST) | (fabric.link_port == WEST)
    return np.where(fabric.link_class != 0, 2, np.where(sideways, 0, 1)).astype(np.int8)


def critical_routes(fabric: TileFabric, trees: Trees, placement: NDArray[np.integer]) -> Ints:
    """Routes into a tile that no other one exceeds in both directions: (east-west, north-south) router hops, int32 [routes, 2].

    Whatever a hop costs in either direction, the slowest route is among them; no row if no net leaves its tile.
    """
    length = _lengths(
        trees.ptr, trees.link, fabric.tile_node[placement], fabric.link_source, fabric.link_target, hop_kind(fabric),
        fabric.n_nodes,
    )[fabric.link_class[trees.link] == 1]  # fmt: skip
    pairs = np.unique(length, axis=0)[::-1]  # longest east-west first
    best = np.maximum.accumulate(np.concatenate([[-1], pairs[:, 1]]))[:-1]
    kept: Ints = pairs[pairs[:, 1] > best]
    return kept
