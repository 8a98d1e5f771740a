"""A short verifier of infeasibility: shares no code with what finds certificates, works in whole numbers, trusts nothing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric

Tiles = tuple[int, ...]
Ints = NDArray[np.integer]
FAR = 2**50  # sums of such weights stay whole in float64


def verify_certificate(
    fabric: TileFabric, branches: Connectivity, placement: Ints, weight: Ints, counted: dict[int, Tiles]
) -> bool:
    """Whether no routing of branches neuron -> tile fits: sum_l weight_l capacity_l < sum over nets of a least weight tree.

    ``weight`` int64 [links] >= 0. ``counted[neuron]`` are sink tiles of that net: the least weight of a tree to those is exact (Dreyfus,
    Wagner 1971), every other sink adds the lightest link into its tile, which no such tree uses. A cut has weight 1 on its links.
    """
    wired = set(zip(branches.source.tolist(), branches.target.tolist(), strict=True))
    right = weight.dtype == np.int64 and weight.shape == (fabric.n_links,) and 0 <= weight.min() <= weight.max() < 2**30
    if not right or any((i, t) not in wired or t == placement[i] for i, tiles in counted.items() for t in tiles):
        return False
    n, start, end, router = fabric.n_nodes, fabric.link_source.astype(np.int64), fabric.link_target, fabric.kind != 0
    inner = np.flatnonzero(router[start] & router[end])
    inner = inner[np.argsort(weight[inner], kind="stable")]
    inner = inner[np.unique(start[inner] * n + end[inner], return_index=True)[1]]  # the cheapest of parallel links
    apart = dijkstra(csr_array((weight[inner].astype(float), (start[inner], end[inner])), shape=(n, n)))
    reach: dict[Tiles, NDArray[np.float64]] = {}  # least weight from every router to a set of sinks
    root: dict[tuple[int, Tiles], int] = {}  # the same from a source tile

    def splits(tiles: Tiles) -> list[tuple[Tiles, Tiles]]:
        rests = (rest for size in range(1, len(tiles)) for rest in combinations(tiles[1:], size))
        return [(tuple(t for t in tiles if t not in rest), rest) for rest in rests]

    def from_routers(tiles: Tiles) -> NDArray[np.float64]:
        if tiles not in reach:
            best = np.full(n, float(FAR))
            into = (end == fabric.tile_node[tiles[0]]) & (len(tiles) == 1)
            np.minimum.at(best, start[into], weight[into])
            for part, rest in splits(tiles):
                best = np.minimum(best, from_routers(part) + from_routers(rest))
            reach[tiles] = np.minimum((apart + best).min(axis=1), FAR)
        return reach[tiles]

    def from_tile(tile: int, tiles: Tiles) -> int:
        if (tile, tiles) not in root:
            out = start == fabric.tile_node[tile]
            straight = int((weight[out] + from_routers(tiles)[end[out]]).min(initial=FAR))
            root[tile, tiles] = min([straight, *(from_tile(tile, a) + from_tile(tile, b) for a, b in splits(tiles))])
        return root[tile, tiles]

    need = sum(from_tile(int(placement[i]), tuple(sorted(set(tiles)))) for i, tiles in counted.items() if tiles)
    enter = [int(weight[end == node].min(initial=FAR)) for node in fabric.tile_node]
    need += sum(enter[t] for i, t in wired if i in counted and t not in counted[i] and t != placement[i])
    return bool(need > sum(int(w) * int(c) for w, c in zip(weight, fabric.capacity, strict=True)))
