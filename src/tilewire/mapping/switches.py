"""Switches between banks and PEs: which partial permutations they carry at once.

Every function takes the P ports of a switch; word w goes from port ``start[w]`` to port ``end[w]``, no two from or to one port.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
FREE = -1


@njit(cache=True)
def butterfly_position(start: int, end: int, level: int, levels: int) -> int:
    """Port of a word behind ``level`` of a butterfly: the upper ``level`` bits are those of its end, the others of its start."""
    low = (1 << (levels - level)) - 1
    return (end & ~low) | (start & low)


@njit(cache=True)
def mesh_path(start: int, end: int, columns: int, link: Longs) -> int:
    """Links of the path along the row, then along the column; a link is 4 node + direction (east, west, south, north). Returns hops."""
    row, column = start // columns, start % columns
    end_row, end_column = end // columns, end % columns
    hops = 0
    while column != end_column:
        step = 1 if end_column > column else -1
        link[hops] = 4 * (row * columns + column) + (0 if step > 0 else 1)
        column += step
        hops += 1
    while row != end_row:
        step = 1 if end_row > row else -1
        link[hops] = 4 * (row * columns + column) + (2 if step > 0 else 3)
        row += step
        hops += 1
    return hops


@njit(cache=True)
def benes_settings(start: Longs, end: Longs, ports: int, crossed: Flags) -> None:
    """Settings of a Benes network that carry the words, by the looping algorithm (Benes 1965; Opferman and Tsao-Wu 1971).

    ``ports`` = P = 2^m. Levels 0 .. m - 2 exchange ports that differ in bit 0 .. m - 2, level m - 1 in bit m - 1, the others in bits
    m - 2 .. 0: the second half is a butterfly. ``crossed`` bool [2 m - 1, P] is written: at level l, the cell of ports p and p ^ bit is
    crossed where ``crossed[l, p with the bit cleared]``. Idle ports are joined in ascending order to make the permutation whole.
    """
    bits = 0
    while (1 << bits) < ports:
        bits += 1
    crossed[:] = False
    if bits == 0:
        return
    here, there = np.full(ports, FREE, np.int64), np.full(ports, FREE, np.int64)
    taken = np.zeros(ports, np.bool_)
    for word in range(start.size):
        there[start[word]] = end[word]
        taken[end[word]] = True
    idle = 0
    for port in range(ports):
        here[port] = port
        if there[port] == FREE:
            while taken[idle]:
                idle += 1
            there[port] = idle
            taken[idle] = True
    for level in range(bits - 1):
        _split(here, there, 1 << level, crossed[level], crossed[2 * bits - 2 - level])
    top = 1 << (bits - 1)
    for word in range(ports):
        if here[word] != there[word]:
            crossed[bits - 1, here[word] & ~top] = True


@njit(cache=True)
def _split(here: Longs, there: Longs, bit: int, before: Flags, after: Flags) -> None:
    """Give every word one of the two subnetworks so that no cell gets two words for one: walk the loops of shared cells."""
    ports = here.size
    at_in, at_out = np.empty(ports, np.int64), np.empty(ports, np.int64)
    side = np.full(ports, FREE, np.int64)
    for word in range(ports):
        at_in[here[word]] = word
        at_out[there[word]] = word
    for first in range(ports):
        word = first
        while side[word] == FREE:
            side[word] = 0
            partner = at_in[here[word] ^ bit]  # the word that shares the first cell takes the other side
            side[partner] = 1
            word = at_out[there[partner] ^ bit]  # and the one that shares its last cell this side again
    for word in range(ports):
        wanted = bit if side[word] else 0
        if here[word] & bit != wanted:
            before[here[word] & ~bit] = True
            here[word] ^= bit
        if there[word] & bit != wanted:
            after[there[word] & ~bit] = True
            there[word] ^= bit


@njit(cache=True)
def benes_end(start: int, ports: int, crossed: Flags) -> int:
    """Port where a word leaves a Benes network with these settings."""
    bits = 0
    while (1 << bits) < ports:
        bits += 1
    position = start
    for level in range(2 * bits - 1):
        bit = 1 << (level if level < bits else 2 * bits - 2 - level)
        if crossed[level, position & ~bit]:
            position ^= bit
    return position


def benes_bits(ports: int) -> int:
    """Settings of a Benes network, one bit per cell: (P / 2) (2 log2 P - 1)."""
    return ports // 2 * (2 * (ports - 1).bit_length() - 1) if ports > 1 else 0
