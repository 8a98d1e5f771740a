"""Branches under fixed paths, tried in bulk: those inside the free channels are added, those that would widen a port are asked about."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.mapping.port_loads import PortLoads, _change, _new_links, _path

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


@njit(cache=True)
def _held(mask: int, refused: Longs) -> bool:
    """Whether a set of classes holds a set that was refused."""
    held = False
    for other in refused:
        held |= mask & other == other
    return held


@njit(cache=True)
def _fill(
    keys: Longs, wanted: int, tile_of: Ints, tile_node: Ints, port: NDArray[np.int8], length: Ints, link_at: Ints, link_target: Ints,
    path: Ints, table: Longs, uses: Ints, load: Ints, capacity: Ints, room: Ints, class_of: Ints, refused: Longs, spare: int,
    added: Longs,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Branches added, keys consumed, table slots taken, and the classes that the next key would widen (0: done, or table full)."""
    n, taken, tiles = 0, 0, tile_node.size
    for at in range(keys.size):
        if n == wanted:
            return n, at, taken, 0
        if taken + path.size > spare:
            return n, at, taken, 0
        neuron, tile = keys[at] // tiles, keys[at] % tiles
        home = tile_of[neuron]
        links = path[: _path(tile_node[home], port[home, tile], length[home, tile], link_at, link_target, path)]
        mask, full = 0, False
        for link in _new_links(neuron, links, table, uses, load):
            full |= load[link] >= capacity[link]
            if load[link] >= room[link]:
                mask |= 1 << class_of[link]
        if full or (mask and _held(mask, refused)):
            continue
        if mask:
            return n, at, taken, mask
        taken += _change(neuron, links, 1, table, uses, load)
        added[n] = keys[at]
        n += 1
    return n, keys.size, taken, 0


def fill_one_turn(
    loads: PortLoads, keys: Longs, wanted: int, capacity: Ints, room: Callable[[], Ints], class_of: Ints, widen: Callable[[int, int], bool]
) -> Longs:  # fmt: skip
    """Add up to ``wanted`` of the absent branches ``keys`` = neuron * tiles + tile, in order; returns those added.

    A branch is added if its new links have free channels in ``capacity`` and in ``room()``, both int32 [links]. One that ``room()`` alone
    forbids is handed to ``widen(neuron, tile)``, which adds it or refuses; a set of classes that was refused, and whatever holds it, is
    not asked about again, since a price never falls while branches are added. At most 63 classes.
    """
    fabric, tiles = loads.fabric, loads.fabric.n_tiles
    for tile in range(tiles):
        loads.know(tile)
    refused: list[int] = []
    found: list[Longs] = []
    start = 0
    while wanted > 0 and start < keys.size:
        loads._reserve(4 * loads._buffer.size)
        added = np.empty(wanted, np.int64)
        spare = loads._keys.size // 2 - loads._taken
        n, used, taken, mask = _fill(
            keys[start:], wanted, loads.placement, fabric.tile_node, loads._port, loads._length, fabric.link_at, fabric.link_target,
            loads._buffer, loads._keys, loads._uses, loads.load, capacity, room(), class_of, np.array(refused, np.int64), spare, added,
        )  # fmt: skip
        loads._taken += taken
        found.append(added[:n])
        start, wanted = start + used, wanted - n
        if mask:
            if widen(*divmod(int(keys[start]), tiles)):
                found.append(keys[start : start + 1])
                wanted -= 1
            else:
                refused.append(mask)
            start += 1
    return np.concatenate(found) if found else np.empty(0, np.int64)
