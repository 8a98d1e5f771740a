"""Fixed paths are straight runs: the lines that runs are pieces of, and the published one-turn runs of many tile pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tilewire.hardware.fabric import TileFabric

Ints = NDArray[np.int32]
Ports = NDArray[np.int8]


class Lines(NamedTuple):
    """The links in straight lines: at each position the link that leaves the end of the one before by the same port.

    A run of n links from a node by a port is ``link[a : a + n]``, a = ``at[node, port]``, if a >= 0 and a + n <= ``end[a]``. A ring is
    listed twice around, so that no run on it is cut. ``link``, ``end`` (of the line) and ``target`` (node that the link enters) are
    int32 [positions], ``at`` is int32 [nodes, ports], -1 where no link leaves.
    """

    link: Ints
    end: Ints
    target: Ints
    at: Ints


def lines_of(fabric: TileFabric) -> Lines:
    """The lines of a fabric, O(links). An in port takes one wire, so no two lines join."""
    after = fabric.link_at[fabric.link_target, fabric.link_port]
    fed = np.zeros(fabric.n_links, bool)
    fed[after[after >= 0]] = True
    heads = np.concatenate([np.flatnonzero(~fed), np.flatnonzero(fed)]).astype(np.int32)  # the fed ones for the rings
    link, end, place = _lines(heads, after)
    at = np.where(fabric.link_at < 0, np.int32(-1), place[fabric.link_at])
    return Lines(link, end, fabric.link_target[link], at)


@njit(cache=True)
def _lines(heads: Ints, after: Ints) -> tuple[Ints, Ints, Ints]:
    """Links of the lines that start at ``heads`` where they are not met yet, the end of each position's line, the place of each link."""
    link, end = np.empty(2 * after.size, np.int32), np.empty(2 * after.size, np.int32)
    place = np.full(after.size, -1, np.int32)
    n = 0
    for head in heads:
        first, one = n, head
        while one >= 0 and place[one] < 0:
            place[one], link[n] = n, one
            one = after[one]
            n += 1
        if n > first and one == head:
            link[n : 2 * n - first] = link[first:n]
            n = 2 * n - first
        end[first:n] = n
    return link[:n], end[:n], place


@njit(cache=True)
def one_turn_runs(columns: int, source: Ints, target: Ints, ports: Ports) -> tuple[Ports, Ints]:
    """Out ports int8 [n, 4] and lengths int32 [n, 4] of Mosaic's fixed paths; ``ports`` are those to the north, east, south, west."""
    port, length = np.empty((source.size, 4), np.int8), np.empty((source.size, 4), np.int32)
    north, east, south, west = ports
    for i in range(source.size):
        down = target[i] // columns - source[i] // columns
        right = target[i] % columns - source[i] % columns
        near, column = abs(down) + abs(right) == 1, right == 0 and abs(down) != 1
        vertical, side = south if down > 0 else north, east if right > 0 else west
        towards = vertical if right == 0 else side
        port[i, 0] = towards if near else west if column else vertical
        port[i, 1] = side
        port[i, 2] = south if down == 0 else vertical
        port[i, 3] = towards if near else east if column else side
        # Runs on the canvas: tiles lie two steps apart; leaving and entering take one step each.
        length[i, 0] = length[i, 3] = 1
        length[i, 1] = 0 if near or column else 2 * abs(right) - 1
        length[i, 2] = 0 if near else 2 * abs(down) if column else max(2 * abs(down) - 1, 1)
    return port, length
