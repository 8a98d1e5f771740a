"""Loads of fixed paths kept up to date branch by branch: what a port budget asks at every step of rewiring."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
_EMPTY = -1


@njit(cache=True)
def _slot(keys: Longs, key: int) -> np.int64:
    """Where a key is, or the free slot where it belongs (open addressing, table a power of two and never full)."""
    mask = keys.size - 1
    at = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) & np.uint64(mask)
    while keys[at] != _EMPTY and keys[at] != key:
        at = (at + np.uint64(1)) & np.uint64(mask)
    return np.int64(at)


@njit(cache=True)
def _path(node: int, port: NDArray[np.int8], length: Ints, link_at: Ints, link_target: Ints, path: Ints) -> int:
    n = 0
    for k in range(port.size):
        for _ in range(length[k]):
            path[n] = link_at[node, port[k]]
            node = link_target[path[n]]
            n += 1
    return n


@njit(cache=True)
def _new_links(neuron: int, path: Ints, keys: Longs, uses: Ints, load: Ints) -> Ints:
    """Links of a path that the neuron's net does not hold yet."""
    fresh = np.empty(path.size, np.int32)
    n = 0
    for link in path:
        at = _slot(keys, neuron * load.size + link)
        if keys[at] == _EMPTY or uses[at] == 0:
            fresh[n] = link
            n += 1
    return fresh[:n]


@njit(cache=True)
def _change(neuron: int, path: Ints, step: int, keys: Longs, uses: Ints, load: Ints) -> int:
    """Add (+1) or remove (-1) one user of each link of a path; returns the slots newly taken."""
    taken = 0
    for link in path:
        at = _slot(keys, neuron * load.size + link)
        if keys[at] == _EMPTY:
            keys[at] = neuron * load.size + link
            uses[at] = 0
            taken += 1
        before = uses[at]
        uses[at] = before + step
        if before + step == 0 or (before == 0 and step > 0):
            load[link] += step
    return taken


@njit(cache=True)
def _change_all(
    neurons: Ints, nodes: Ints, ports: NDArray[np.int8], lengths: Ints, link_at: Ints, link_target: Ints, path: Ints,
    keys: Longs, uses: Ints, load: Ints,
) -> int:  # fmt: skip
    taken = 0
    for b in range(neurons.size):
        n = _path(nodes[b], ports[b], lengths[b], link_at, link_target, path)
        taken += _change(neurons[b], path[:n], 1, keys, uses, load)
    return taken


@njit(cache=True)
def _rehash(keys: Longs, uses: Ints, size: int) -> tuple[Longs, Ints, int]:
    """The live entries in a table of another size."""
    fresh, count, taken = np.full(size, _EMPTY, np.int64), np.zeros(size, np.int32), 0
    for i in range(keys.size):
        if keys[i] != _EMPTY and uses[i] > 0:
            at = _slot(fresh, keys[i])
            fresh[at], count[at] = keys[i], uses[i]
            taken += 1
    return fresh, count, taken


@njit(cache=True)
def _offer(
    keys: Longs, wanted: int, patience: int, misses: int, linked: Flags, tile_of: Ints, tile_node: Ints, port: NDArray[np.int8],
    length: Ints, link_at: Ints, link_target: Ints, path: Ints, table: Longs, uses: Ints, load: Ints, capacity: Ints, spare: int,
    added: Longs,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Branches added, keys consumed, table slots taken and misses in a row; stops when the table could run out of ``spare`` slots."""
    n, taken, tiles = 0, 0, tile_node.size
    for at in range(keys.size):
        if n == wanted or misses == patience or taken + path.size > spare:
            return n, at, taken, misses
        misses += 1
        neuron, tile = keys[at] // tiles, keys[at] % tiles
        home = tile_of[neuron]
        if linked[keys[at]] or home == tile:
            continue
        links = path[: _path(tile_node[home], port[home, tile], length[home, tile], link_at, link_target, path)]
        free = True
        for link in _new_links(neuron, links, table, uses, load):
            free &= load[link] < capacity[link]
        if free:
            taken += _change(neuron, links, 1, table, uses, load)
            linked[keys[at]], added[n] = True, keys[at]
            n, misses = n + 1, 0
    return n, keys.size, taken, misses


class PortLoads:
    """``load`` int32 [links] of the fixed paths of a changing set of branches neuron -> tile.

    Each (net, link) keeps how many branches of the net cross the link; adding or removing a branch costs its path, not the network.
    Branches into the own tile cross no link. A branch is added once and removed only if present: the caller's invariant.
    """

    def __init__(self, fabric: TileFabric, placement: Ints) -> None:
        self.fabric, self.placement = fabric, placement
        self.load = np.zeros(fabric.n_links, np.int32)
        tiles = fabric.n_tiles
        runs = fabric.fixed_path(fabric, np.zeros(1, np.int32), np.zeros(1, np.int32))[0].shape[1]
        self._known = np.zeros(tiles, bool)
        # Rows are filled when a source tile is first used; untouched rows cost address space only.
        self._port = np.empty((tiles, tiles, runs), np.int8)
        self._length = np.empty((tiles, tiles, runs), np.int32)
        self._buffer = np.empty(fabric.n_nodes + 2, np.int32)
        self._keys, self._uses, self._taken = np.full(1 << 10, _EMPTY, np.int64), np.zeros(1 << 10, np.int32), 0

    @classmethod
    def of(cls, fabric: TileFabric, branches: Connectivity, placement: Ints) -> PortLoads:
        """State of a whole network."""
        state = cls(fabric, placement)
        wired = branches.without_own(placement)
        origin = placement[wired.source]
        ports, lengths = fabric.fixed_path(fabric, origin, wired.target)
        state._reserve(int(lengths.sum()))
        state._taken = _change_all(
            wired.source, fabric.tile_node[origin], ports, lengths, fabric.link_at, fabric.link_target, state._buffer,
            state._keys, state._uses, state.load,
        )  # fmt: skip
        return state

    def _reserve(self, more: int) -> None:
        """Keep the table at most half full after ``more`` new entries."""
        if 2 * (self._taken + more) > self._keys.size:
            live = int(np.count_nonzero(self._uses)) + more
            size = max(1 << 10, 1 << (4 * live - 1).bit_length())
            self._keys, self._uses, self._taken = _rehash(self._keys, self._uses, size)

    def know(self, source: int) -> None:
        """Look up the paths of a source tile, once."""
        if not self._known[source]:
            targets = np.delete(np.arange(self.fabric.n_tiles, dtype=np.int32), source)
            ports, lengths = self.fabric.fixed_path(self.fabric, np.full_like(targets, source), targets)
            self._port[source, targets], self._length[source, targets] = ports, lengths
            self._known[source] = True

    def path(self, neuron: int, tile: int) -> Ints:
        """Links of a branch, the hop out of the source tile first; valid until the next call."""
        source = int(self.placement[neuron])
        if source == tile:
            return self._buffer[:0]
        self.know(source)
        node, fabric = self.fabric.tile_node[source], self.fabric
        n = _path(
            node, self._port[source, tile], self._length[source, tile], fabric.link_at, fabric.link_target, self._buffer
        )
        return self._buffer[:n]

    def new_links(self, neuron: int, tile: int) -> Ints:
        """Links that a branch would add to its net: a budget holds their load against their capacity."""
        return _new_links(neuron, self.path(neuron, tile), self._keys, self._uses, self.load)

    def add_branch(self, neuron: int, tile: int) -> None:
        """Add a branch that is not there yet."""
        path = self.path(neuron, tile)
        self._reserve(path.size)
        self._taken += _change(neuron, path, 1, self._keys, self._uses, self.load)

    def remove_branch(self, neuron: int, tile: int) -> None:
        """Remove a branch that is there."""
        _change(neuron, self.path(neuron, tile), -1, self._keys, self._uses, self.load)

    def offer(
        self, keys: Longs, wanted: int, capacity: Ints, linked: Flags, patience: int = -1, misses: int = 0
    ) -> tuple[Longs, int, int]:
        """Add the branches ``keys`` = neuron * tiles + tile in order, if absent and if their new links have free channels.

        Stops after ``wanted`` branches, or after ``patience`` misses in a row, the first ``misses`` of them before this call. ``capacity``
        int32 [links]; ``linked`` bool [neurons * tiles] is kept up to date. Returns the keys added, how many were consumed, and the
        misses in a row at the end.
        """
        for tile in range(self.fabric.n_tiles):
            self.know(tile)
        fabric, used, found = self.fabric, 0, [np.empty(0, np.int64)]
        while wanted > 0 and used < keys.size and misses != patience:
            self._reserve(4 * self._buffer.size)
            added = np.empty(wanted, np.int64)
            n, consumed, taken, misses = _offer(
                keys[used:], wanted, patience, misses, linked, self.placement, fabric.tile_node, self._port, self._length,
                fabric.link_at, fabric.link_target, self._buffer, self._keys, self._uses, self.load, capacity,
                self._keys.size // 2 - self._taken, added,
            )  # fmt: skip
            self._taken += taken
            used, wanted = used + consumed, wanted - n
            found.append(added[:n])
        return np.concatenate(found), used, misses
