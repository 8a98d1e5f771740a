"""Slots of a stage: in a slot every bank sends at most one word and every PE takes at most one.

A stage of loads (words per PE, words per bank) needs at least D = the largest load slots. Three regular orders are tried first: outputs
i = R Q + p of row R are worked on together, the s-th slot of the row takes their s-th input by (j - i) mod N, by j xor i, or by bank seen
from the PE (on a mesh also in two dimensions); for most formulas these are shifts and exclusive-ors of the port number, which a butterfly
carries. Otherwise the bank-PE
multigraph is edge-coloured with D colours (Koenig 1916): no bank conflict, but an arbitrary permutation per slot.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.errors import UsageError
from tilewire.hardware.streaming import BENES, BUTTERFLY, CROSSBAR, FIXED, MESH, grid_of, switch_ports
from tilewire.mapping.streaming_network import WordStage
from tilewire.mapping.switches import butterfly_position, mesh_path

Longs = NDArray[np.int64]
_WIRES = {FIXED: 0, CROSSBAR: 0, BENES: 1, BUTTERFLY: 1, MESH: 2}
_ORDERS = (0, 1, 2)  # shift, exclusive or, bank; 3 on a mesh: shift along rows and columns
MOST_ENTRIES = 1 << 27
BLOCKING = (BUTTERFLY, MESH)
"""Switches that do not carry every permutation."""


class Loads(NamedTuple):
    """``bound`` D; ``pairs``: (bank, PE) pairs that share a word; ``distance``: steps on the floor plan that all words travel together."""

    bound: int
    pairs: int
    distance: int


class Plan(NamedTuple):
    """Figures of a schedule: ``slots``; ``regular``: one of the orders, hence no switch settings; ``blocked``: slots the switch refuses."""

    slots: int
    regular: bool
    blocked: int


@njit(cache=True)
def _loads(source: Longs, target: Longs, pes: int, banks: int, columns: int) -> tuple[int, int, int]:
    shared = np.zeros((pes, banks), np.int64)
    for edge in range(source.size):
        shared[target[edge] % pes, source[edge] % banks] += 1
    bank = np.zeros(banks, np.int64)
    bound = pairs = distance = 0
    for p in range(pes):
        words = 0
        for b in range(banks):
            if shared[p, b]:
                pairs += 1
                words += shared[p, b]
                bank[b] += shared[p, b]
                distance += shared[p, b] * (abs(p // columns - b // columns) + abs(p % columns - b % columns))
        bound = max(bound, words)
    return max(bound, bank.max()), pairs, distance


def loads(stage: WordStage, pes: int, banks: int) -> Loads:
    """Loads of a stage on Q PEs and B banks; bank and PE of equal number stand at one place of the floor plan."""
    return Loads(*_loads(stage.source, stage.target, pes, banks, grid_of(max(pes, banks))[1]))


def _ranked(stage: WordStage, order: int, pes: int, banks: int, ports: int, outputs: int) -> Longs:
    """Edges of the first ``outputs`` outputs one by one, the inputs of each in a regular order."""
    edges, columns = stage.ptr[outputs], grid_of(ports)[1]
    i, j = stage.target[:edges], stage.source[:edges]
    pe, bank = i % pes, j % banks
    if order == 0:
        key = (j - i) % stage.n_in
    elif order == 1:
        key = i ^ j
    elif order == 2:
        key = (bank - pe) % banks * stage.n_in + j
    else:
        down, right = (bank // columns - pe // columns) % (ports // columns), (bank - pe) % columns
        key = (down * columns + right) * stage.n_in + j
    return np.argsort(i * (int(key.max()) + 1) + key, kind="stable")


@njit(cache=True)
def _free(bank: int, pe: int, wires: int, levels: int, columns: int, seen: Longs, link: Longs, now: int) -> bool:
    """Whether the switch still carries a word in slot ``now``; its wires are marked in ``seen`` if so. Row 0 of ``seen``: banks."""
    if seen[0, bank] == now:
        return False
    if wires == 1:
        for level in range(1, levels + 1):
            if seen[level, butterfly_position(bank, pe, level, levels)] == now:
                return False
        for level in range(1, levels + 1):
            seen[level, butterfly_position(bank, pe, level, levels)] = now
    elif wires == 2:
        hops = mesh_path(bank, pe, columns, link)
        for hop in range(hops):
            if seen[1 + link[hop] % 4, link[hop] // 4] == now:
                return False
        for hop in range(hops):
            seen[1 + link[hop] % 4, link[hop] // 4] = now
    seen[0, bank] = now
    return True


@njit(cache=True)
def _regular(
    ptr: Longs,
    source: Longs,
    ranked: Longs,
    pes: int,
    banks: int,
    ports: int,
    columns: int,
    wires: int,
    enough: int,
    slot: Longs,
) -> int:
    """Write the slot of every edge in a regular order; returns how many slots have a word that must wait, or ``enough`` if so many."""
    n_out, levels = ptr.size - 1, 0
    while (1 << levels) < ports:
        levels += 1
    seen = np.full((max(levels, 4) + 1, max(ports, banks)), -1)
    link = np.empty(2 * ports, np.int64)
    slots = blocked = 0
    for row in range(0, n_out, pes):
        stop, longest = min(row + pes, n_out), 0
        for i in range(row, stop):
            longest = max(longest, ptr[i + 1] - ptr[i])
        for rank in range(longest):
            waits = False
            for i in range(row, stop):
                if ptr[i] + rank < ptr[i + 1]:
                    edge = ranked[ptr[i] + rank]
                    slot[edge] = slots
                    waits |= not _free(source[edge] % banks, i - row, wires, levels, columns, seen, link, slots)
            blocked += waits
            slots += 1
            if blocked == enough:
                return enough
    return blocked


@njit(cache=True)
def _coloured(pe: Longs, bank: Longs, pes: int, banks: int, colours: int, slot: Longs) -> None:
    """Proper edge colouring of a bipartite multigraph with as many colours as the largest degree, by alternating paths."""
    at_pe, at_bank = np.full((pes, colours), -1), np.full((banks, colours), -1)
    next_pe, next_bank = np.zeros(pes, np.int64), np.zeros(banks, np.int64)
    path = np.empty(pes + banks, np.int64)
    for edge in range(pe.size):
        p, b = pe[edge], bank[edge]
        while at_pe[p, next_pe[p]] >= 0:
            next_pe[p] = (next_pe[p] + 1) % colours
        while at_bank[b, next_bank[b]] >= 0:
            next_bank[b] = (next_bank[b] + 1) % colours
        a, c = next_pe[p], next_bank[b]  # a is free at the PE, c at the bank
        if at_pe[p, c] < 0:
            a = c
        length, colour = 0, a
        while True:  # the path of colours a, c, a, ... from the bank; it cannot end at the PE, which lacks a
            on_bank = length % 2 == 0
            last = path[length - 1]
            found = (at_bank[b if length == 0 else bank[last], colour]) if on_bank else at_pe[pe[last], colour]
            if found < 0:
                break
            path[length] = found
            length, colour = length + 1, c if on_bank else a
        for other in path[:length]:
            at_pe[pe[other], slot[other]] = at_bank[bank[other], slot[other]] = -1
        for other in path[:length]:
            slot[other] = a + c - slot[other]
            at_pe[pe[other], slot[other]] = at_bank[bank[other], slot[other]] = other
        slot[edge] = a
        at_pe[p, a] = at_bank[b, a] = edge


def _ordered(stage: WordStage, switch: str, pes: int, banks: int, slot: Longs, enough: int) -> int:
    """Write the best regular order, that of fewest blocked slots; returns how many, counted up to ``enough``."""
    ports, best = switch_ports(switch, pes, banks), enough + 1
    columns = grid_of(ports)[1]
    for order in (*_ORDERS, 3) if switch == MESH else _ORDERS:
        trial, blocked = np.empty_like(slot), 0
        for outputs in (min(pes, stage.n_out), stage.n_out):  # the first row tells most of those apart that do not pass
            ranked = _ranked(stage, order, pes, banks, ports, outputs)
            ptr = stage.ptr[: outputs + 1]
            blocked = _regular(ptr, stage.source, ranked, pes, banks, ports, columns, _WIRES[switch], enough, trial)
            if blocked == enough:
                break
        if blocked < best:
            best, slot[:] = blocked, trial
        if not blocked:
            break
    return best


def plan(stage: WordStage, switch: str, pes: int, banks: int, bound: int = 0) -> Plan:
    """Figures of `schedule` without a schedule where none is needed; ``blocked`` is 1 for one or more. ``bound``: D, if known."""
    return _chosen(stage, switch, pes, banks, np.empty(stage.edges, np.int64), 1, bound)


def _chosen(stage: WordStage, switch: str, pes: int, banks: int, slot: Longs, enough: int, bound: int = 0) -> Plan:
    """A regular order where the switch carries it and, for one that carries all permutations, D slots suffice; else the colouring."""
    bound = bound or loads(stage, pes, banks).bound
    regular = int(np.maximum.reduceat(np.diff(stage.ptr), np.arange(0, stage.n_out, pes)).sum())
    if switch in BLOCKING:
        return Plan(regular, True, _ordered(stage, switch, pes, banks, slot, enough))
    searched = regular == bound and (
        switch == BENES or enough > 1
    )  # of an order or a colouring, only Benes cares which
    passes = searched and not _ordered(stage, switch, pes, banks, slot, enough)
    return Plan(bound, passes, 0)


def schedule(stage: WordStage, switch: str, pes: int, banks: int) -> tuple[Plan, Longs]:
    """Plan and slot of every edge, int64 [edges]. Under a blocking switch the slots of a plan that is blocked hold words that must wait.

    Raises `UsageError` where the colouring would need more than `MOST_ENTRIES` entries; `plan` needs none.
    """
    slot = np.empty(stage.edges, np.int64)
    chosen = _chosen(stage, switch, pes, banks, slot, stage.edges + 1)
    if not chosen.regular:
        if (entries := (pes + banks) * chosen.slots) > MOST_ENTRIES:
            raise UsageError(
                f"{entries:,} entries to schedule, limit {MOST_ENTRIES:,}",
                where="slots",
                hint="PEs and banks of similar number",
            )
        _coloured(stage.target % pes, stage.source % banks, pes, banks, chosen.slots, slot)
    return chosen, slot
