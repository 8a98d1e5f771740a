"""Multicast trees: the links that each net occupies, and the loads that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilewire.errors import DataError
from tilewire.hardware.fabric import LOCAL, OPPOSITE, TILE, TileFabric

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Trees:
    """Net i occupies links ``link[ptr[i]:ptr[i+1]]``, each once, a link after the one that feeds it.

    ``ptr`` int64 [neurons + 1], ``link`` int32 [n] are link numbers of the fabric; the hop out of the source tile is included. Fixed paths
    of one net may meet again in a router: the router merges them, both links stay occupied.
    """

    ptr: NDArray[np.int64]
    link: Ints

    @property
    def owner(self) -> Ints:
        """Neuron of each entry of ``link``."""
        return np.repeat(np.arange(self.ptr.size - 1, dtype=np.int32), np.diff(self.ptr))

    def of(self, neuron: int) -> Ints:
        """Links of one net."""
        return self.link[self.ptr[neuron] : self.ptr[neuron + 1]]


def loads(fabric: TileFabric, trees: Trees) -> Ints:
    """Distinct nets per link, int32 [links]."""
    return np.bincount(trees.link, minlength=fabric.n_links).astype(np.int32)


def _shares_position(fabric: TileFabric) -> bool:
    """Whether a tile and its router lie on one canvas position, joined by port local."""
    return bool((fabric.link_port == LOCAL).any())


def port_use(fabric: TileFabric, load: NDArray[np.integer]) -> Ints:
    """Nets on each port, int32 [canvas rows, canvas columns, 2 P]: in ports, then out ports, in N, E, S, W (P = 4).

    Tile out ports stay 0, as in the published counts (they are wired for free); the router inputs that face them count the nets that
    leave by them. Where a tile shares its position with a router, P = 5, the last being local, and the ports are the router's.
    """
    shared = _shares_position(fabric)
    ports = LOCAL + shared
    use = np.zeros((*fabric.canvas, 2 * ports), np.int32)
    source, target, port = fabric.link_source, fabric.link_target, fabric.link_port
    into = np.where(shared & (fabric.kind[target] == TILE), 0, load)
    np.add.at(use, (fabric.row[target], fabric.column[target], OPPOSITE[port]), into)
    out = np.where(fabric.kind[source] == TILE, 0, load)
    np.add.at(use, (fabric.row[source], fabric.column[source], ports + port), out)
    return use


def _hop_port(fabric: TileFabric) -> Ints:
    """Out port of each link as files name it: 0..3 = N, E, S, W, 4 a router into its tile, 5 a tile into its router."""
    from_tile = (fabric.link_port == LOCAL) & (fabric.kind[fabric.link_source] == TILE)
    port: Ints = fabric.link_port.astype(np.int32) + from_tile
    return port


def hops(fabric: TileFabric, trees: Trees) -> Ints:
    """Entries of the trees as (row, column, out port) on the canvas, int32 [n, 3]."""
    node = fabric.link_source[trees.link]
    return np.stack([fabric.row[node], fabric.column[node], _hop_port(fabric)[trees.link]], axis=1).astype(np.int32)


def from_hops(fabric: TileFabric, ptr: ArrayLike, hop: ArrayLike) -> Trees:
    """Trees of (row, column, out port) entries. Raises `DataError` for entries that name no link or pointers that do not ascend."""
    start, entry = np.asarray(ptr), np.asarray(hop)
    if start.ndim != 1 or start.dtype.kind not in "iu" or entry.ndim != 2 or entry.dtype.kind not in "iu":
        raise DataError("tree_ptr is not integer [neurons + 1] or tree_hops not integer [n, 3]")
    start = start.astype(np.int64)
    if entry.shape[1] != 3 or start.size != fabric.n_neurons + 1 or start[0] != 0 or start[-1] != len(entry):
        raise DataError(
            f"tree_ptr {list(start.shape)} does not span tree_hops {list(entry.shape)} for {fabric.n_neurons} neurons"
        )
    if (np.diff(start) < 0).any():
        raise DataError("tree_ptr descends")
    shape = (*fabric.canvas, LOCAL + 2)
    wrong: NDArray[np.bool_] = np.any((entry < 0) | (entry >= shape), axis=1)
    table = np.full(shape, -1, np.int32)
    node = fabric.link_source
    table[fabric.row[node], fabric.column[node], _hop_port(fabric)] = np.arange(fabric.n_links)
    link = table[tuple(np.where(wrong[:, None], 0, entry).T)]
    wrong |= link < 0
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{int(wrong.sum())} hops leave by a port without a link, first tree_hops[{first}] = {entry[first].tolist()}"
        )
    return Trees(start, link)
