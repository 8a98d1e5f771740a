"""Breadth-first search over a fabric: routers on a shortest path, tiles never passed through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tilewire.hardware.fabric import TileFabric

Ints = NDArray[np.int32]


@njit(cache=True)
def _search(ptr: Ints, neighbour: Ints, tile_node: Ints, is_tile: NDArray[np.bool_]) -> Ints:
    tiles, nodes = tile_node.size, is_tile.size
    distance = np.full((tiles, tiles), -1, np.int32)
    tile_index = np.full(nodes, -1, np.int32)
    for t in range(tiles):
        tile_index[tile_node[t]] = t
    depth = np.empty(nodes, np.int32)
    queue = np.empty(nodes, np.int32)
    for t in range(tiles):
        depth[:] = -1
        queue[0] = tile_node[t]
        depth[queue[0]] = 0
        head, tail = 0, 1
        distance[t, t] = 0
        while head < tail:
            node = queue[head]
            head += 1
            for k in range(ptr[node], ptr[node + 1]):
                other = neighbour[k]
                if depth[other] >= 0:
                    continue
                depth[other] = depth[node] + 1
                if is_tile[other]:
                    distance[t, tile_index[other]] = depth[node]
                else:
                    queue[tail] = other
                    tail += 1
    return distance


def hop_distance(fabric: TileFabric) -> Ints:
    """Number of routers between tiles, int32 [tiles, tiles]; see `TileFabric.hop_distance`."""
    order = np.argsort(fabric.link_source, kind="stable")
    ptr = np.concatenate(([0], np.cumsum(np.bincount(fabric.link_source, minlength=fabric.n_nodes)))).astype(np.int32)
    result: Ints = _search(ptr, fabric.link_target[order], fabric.tile_node, fabric.kind == 0)
    return result
