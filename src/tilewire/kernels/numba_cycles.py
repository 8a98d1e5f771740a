"""Cycle-level machine of a streaming accelerator: words leave banks, cross the switch, are multiplied and summed, and are written back.

Every cycle, every array: words of the current slot that find their bank port, every wire of their path and their PE port free go; the
others wait for the next cycle, and with them the slots behind. Nothing here knows how many cycles that should take.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
DIRECT, BANYAN, REARRANGEABLE, GRID = range(4)
EMPTY, FILLING, FULL = range(3)
IDLE, ISSUING, WAITING = range(3)
MODE, IMAGE, STAGE, SLOT, BUFFER, SUMS = range(6)
BANK_OUT, PE_IN, BANK_IN, PE_OUT, WIRE = range(5)
ISSUED, READS, WRITES, STALLS, ASTRAY = range(5)


class Machine(NamedTuple):
    """Sizes: arrays, PEs, banks, buffers; kind of switch, its ports, levels of cells and mesh columns; cycles from issue to sum."""

    arrays: int
    pes: int
    banks: int
    buffers: int
    wires: int
    ports: int
    levels: int
    columns: int
    latency: int


class Program(NamedTuple):
    """Slots of stage s are ``slot_ptr[s] : slot_ptr[s + 1]``, words of slot t ``word_ptr[t] : word_ptr[t + 1]``.

    A word: ``bank``, ``address``, ``pe``, ``row`` (accumulator), ``value``. Stages: ``n_out``, ``home`` (array), ``rectified``, ``bias`` of
    stage s from ``bias_ptr[s]``. ``crossed`` bool [slots, levels, ports]: settings of a Benes network.
    """

    slot_ptr: Longs
    word_ptr: Longs
    bank: Longs
    address: Longs
    pe: Longs
    row: Longs
    value: Floats
    n_out: Longs
    home: Longs
    rectified: NDArray[np.bool_]
    bias: Floats
    bias_ptr: Longs
    crossed: NDArray[np.bool_]


class State(NamedTuple):
    """Memories and registers. Leading axes: array, then buffer. ``reader``, ``writer``: engines of an array (columns `MODE` ...)."""

    words: Floats  # [arrays, buffers, banks, addresses]
    sums: Floats  # [arrays, buffers, pes, rows]
    bank_mode: Longs
    bank_since: Longs
    bank_image: Longs
    sum_mode: Longs
    sum_since: Longs
    sum_image: Longs
    sum_stage: Longs
    reader: Longs  # [arrays, 6]
    writer: Longs  # [arrays, 6]
    next_row: Longs  # [arrays, pes]: row that a PE writes next
    waiting: NDArray[np.bool_]  # [words]: not yet gone in its slot
    flying: Floats  # [arrays, latency + 1, pes, 2]: operand and weight
    flying_to: Longs  # [arrays, latency + 1, pes, 2]: accumulator row (or -1) and buffer
    taken: Longs  # [arrays, WIRE + levels or directions, ports]: cycle in which a port or wire was last used
    tally: Longs  # ISSUED ... ASTRAY


@njit(cache=True)
def _arrival(m: Machine, p: Program, slot: int, word: int, taken: Longs, now: int) -> int:
    """Port at which a word leaves the switch in this cycle, or -1 if a wire is in use. Wires are taken only if all are free."""
    start, end = int(p.bank[word]), int(p.pe[word])
    position = start
    if m.wires == DIRECT:
        return end
    if m.wires == REARRANGEABLE:
        for level in range(m.levels):
            half = (m.levels + 1) // 2
            bit = 1 << (level if level < half else m.levels - 1 - level)
            if p.crossed[slot, level, position & ~bit]:
                position ^= bit
        return position
    for mark in range(2):  # look, then take
        position = start
        if m.wires == BANYAN:
            for level in range(m.levels):
                bit = 1 << (m.levels - 1 - level)
                position = (position & ~bit) | (end & bit)
                if mark:
                    taken[WIRE + level, position] = now
                elif taken[WIRE + level, position] == now:
                    return -1
        else:
            while position != end:
                across = end % m.columns - position % m.columns
                if across != 0:
                    direction, step = (0, 1) if across > 0 else (1, -1)
                else:
                    direction, step = (2, m.columns) if end > position else (3, -m.columns)
                if mark:
                    taken[WIRE + direction, position] = now
                elif taken[WIRE + direction, position] == now:
                    return -1
                position += step
    return position


@njit(cache=True)
def _issue(m: Machine, p: Program, s: State, array: int, now: int) -> None:
    """Send the words of the current slot that find everything free."""
    slot, buffer, taken = s.reader[array, SLOT], s.reader[array, BUFFER], s.taken[array]
    left = 0
    for word in range(p.word_ptr[slot], p.word_ptr[slot + 1]):
        if not s.waiting[word]:
            continue
        bank, pe = p.bank[word], p.pe[word]
        if taken[BANK_OUT, bank] == now or taken[PE_IN, pe] == now:
            left += 1
            continue
        port = _arrival(m, p, slot, word, taken, now)
        if port < 0:
            left += 1
            continue
        s.tally[ASTRAY] += port != pe
        taken[BANK_OUT, bank] = taken[PE_IN, pe] = now
        s.waiting[word] = False
        then = (now + m.latency) % (m.latency + 1)
        s.flying[array, then, port, 0] = s.words[array, buffer, bank, p.address[word]]
        s.flying[array, then, port, 1] = p.value[word]
        s.flying_to[array, then, port, 0] = p.row[word]
        s.flying_to[array, then, port, 1] = s.reader[array, SUMS]
        s.tally[ISSUED] += 1
        s.tally[READS] += 1
    if left:
        s.tally[STALLS] += 1
        return
    for word in range(p.word_ptr[slot], p.word_ptr[slot + 1]):
        s.waiting[word] = True  # for the next image
    s.reader[array, SLOT] += 1
    if slot + 1 == p.slot_ptr[s.reader[array, STAGE] + 1]:
        _end_of_stage(m, p, s, array, now)


@njit(cache=True)
def _end_of_stage(m: Machine, p: Program, s: State, array: int, now: int) -> None:
    """All words of a stage are on their way: its sums are complete ``latency`` cycles later, its banks are free if the array moves on."""
    stage, buffer, sums = s.reader[array, STAGE], s.reader[array, BUFFER], s.reader[array, SUMS]
    s.sum_mode[array, sums], s.sum_since[array, sums] = FULL, now + m.latency + 1
    s.sum_image[array, sums], s.sum_stage[array, sums] = s.reader[array, IMAGE], stage
    if stage + 1 < p.home.size and p.home[stage + 1] == array:
        s.reader[array, MODE] = WAITING
        s.reader[array, STAGE] += 1
        s.bank_mode[array, buffer] = FILLING  # kept for the outputs
    else:
        s.reader[array, MODE] = IDLE
        s.bank_mode[array, buffer], s.bank_since[array, buffer] = EMPTY, now + 1


@njit(cache=True)
def _free_buffer(mode: Longs, since: Longs, wanted: int, now: int) -> int:
    """A buffer that has been in a mode since before this cycle, the one longest in it, or -1."""
    found = -1
    for buffer in range(mode.size):
        if mode[buffer] == wanted and since[buffer] <= now and (found < 0 or since[buffer] < since[found]):
            found = buffer
    return found


@njit(cache=True)
def _begin(m: Machine, p: Program, s: State, array: int, stage: int, buffer: int, image: int, now: int) -> None:
    """Start a stage if an accumulator buffer is free: preload the biases."""
    sums = _free_buffer(s.sum_mode[array], s.sum_since[array], EMPTY, now)
    if sums < 0:
        return
    s.sum_mode[array, sums] = FILLING
    for i in range(p.n_out[stage]):
        s.sums[array, sums, i % m.pes, i // m.pes] = p.bias[p.bias_ptr[stage] + i]
    engine = s.reader[array]
    engine[MODE], engine[IMAGE], engine[STAGE], engine[SLOT] = ISSUING, image, stage, p.slot_ptr[stage]
    engine[BUFFER], engine[SUMS] = buffer, sums


@njit(cache=True)
def _read(m: Machine, p: Program, s: State, array: int, first: int, now: int) -> None:
    """One cycle of the reading engine of an array whose first stage is ``first``."""
    engine = s.reader[array]
    if engine[MODE] == IDLE:
        buffer = _free_buffer(s.bank_mode[array], s.bank_since[array], FULL, now)
        if buffer >= 0:
            _begin(m, p, s, array, first, buffer, s.bank_image[array, buffer], now)
    elif engine[MODE] == WAITING:
        buffer = engine[BUFFER]
        if s.bank_mode[array, buffer] == FULL and s.bank_since[array, buffer] <= now:
            _begin(m, p, s, array, engine[STAGE], buffer, engine[IMAGE], now)
    if engine[MODE] == ISSUING:
        _issue(m, p, s, array, now)


@njit(cache=True)
def _sum(m: Machine, s: State, array: int, now: int) -> None:
    """Words that arrive in this cycle are multiplied and added."""
    here = now % (m.latency + 1)
    for pe in range(m.pes):
        row = s.flying_to[array, here, pe, 0]
        if row >= 0:
            s.sums[array, s.flying_to[array, here, pe, 1], pe, row] += (
                s.flying[array, here, pe, 0] * s.flying[array, here, pe, 1]
            )
            s.flying_to[array, here, pe, 0] = -1


@njit(cache=True)
def _write(m: Machine, p: Program, s: State, array: int, out: Floats, finish: Longs, now: int) -> None:
    """One cycle of the writing engine: every PE offers its next output, every bank takes one word."""
    engine = s.writer[array]
    if engine[MODE] == IDLE:
        sums = _free_buffer(s.sum_mode[array], s.sum_since[array], FULL, now)
        if sums < 0:
            return
        stage = s.sum_stage[array, sums]
        to, buffer = array, s.reader[array, BUFFER]
        last = stage + 1 == p.home.size
        if not last and p.home[stage + 1] != array:
            to = array + 1
            buffer = _free_buffer(s.bank_mode[to], s.bank_since[to], EMPTY, now)
            if buffer < 0:
                return
        if not last:
            s.bank_mode[to, buffer] = FILLING
        engine[MODE], engine[IMAGE], engine[STAGE] = ISSUING, s.sum_image[array, sums], stage
        engine[BUFFER], engine[SUMS], engine[SLOT] = buffer, sums, 0
        s.next_row[array, :] = 0
    stage, sums, buffer = engine[STAGE], engine[SUMS], engine[BUFFER]
    last = stage + 1 == p.home.size
    to = array if last else p.home[stage + 1]
    engine[SLOT] += _drain(m, p, s, array, to, out, last, now)
    if engine[SLOT] < p.n_out[stage]:
        return
    engine[MODE] = IDLE
    s.sum_mode[array, sums], s.sum_since[array, sums] = EMPTY, now + 1
    if last:
        finish[engine[IMAGE]] = now + 1
        return
    s.bank_mode[to, buffer], s.bank_since[to, buffer], s.bank_image[to, buffer] = FULL, now + 1, engine[IMAGE]


@njit(cache=True)
def _drain(m: Machine, p: Program, s: State, array: int, to: int, out: Floats, last: bool, now: int) -> int:
    """Words written in this cycle: outputs in ascending order, one per PE and bank. ``out`` has the same banks."""
    stage, sums, buffer, image = (
        s.writer[array, STAGE],
        s.writer[array, SUMS],
        s.writer[array, BUFFER],
        s.writer[array, IMAGE],
    )
    taken, written = s.taken[array], 0
    for row in range(s.next_row[array].min(), s.next_row[array].max() + 1):
        for pe in range(m.pes):
            i = row * m.pes + pe
            bank = i % m.banks
            if s.next_row[array, pe] != row or i >= p.n_out[stage] or taken[BANK_IN, bank] == now:
                continue
            value = s.sums[array, sums, pe, row]
            if p.rectified[stage] and value < 0:
                value = 0.0
            if last:
                out[image, i] = value
            else:
                s.words[to, buffer, bank, i // m.banks] = value
            taken[BANK_IN, bank] = taken[PE_OUT, pe] = now
            written += 1
    for pe in range(m.pes):
        s.next_row[array, pe] += taken[PE_OUT, pe] == now
    s.tally[WRITES] += written
    return written


@njit(cache=True)
def run(
    m: Machine, p: Program, s: State, images: Floats, first: Longs, out: Floats, start: Longs, finish: Longs, limit: int
) -> int:
    """Stream images [n, n_in] through; writes ``out``, first and last cycle of each image. Returns cycles, -1 beyond ``limit``."""
    arrived, sent, buffer, done = 0, 0, -1, 0
    for now in range(limit):
        for array in range(m.arrays):
            _sum(m, s, array, now)
        for array in range(m.arrays):
            _write(m, p, s, array, out, finish, now)
            _read(m, p, s, array, first[array], now)
        if arrived < images.shape[0]:
            if buffer < 0:
                buffer = _free_buffer(s.bank_mode[0], s.bank_since[0], EMPTY, now)
                if buffer >= 0:
                    s.bank_mode[0, buffer], start[arrived], sent = FILLING, now, 0
            if buffer >= 0:
                for _ in range(min(m.pes, m.banks)):
                    if sent < images.shape[1]:
                        s.words[0, buffer, sent % m.banks, sent // m.banks] = images[arrived, sent]
                        s.tally[WRITES] += 1
                        sent += 1
                if sent == images.shape[1]:
                    s.bank_mode[0, buffer], s.bank_since[0, buffer], s.bank_image[0, buffer] = FULL, now + 1, arrived
                    arrived, buffer = arrived + 1, -1
        done = 0
        for image in range(images.shape[0]):
            done += finish[image] > 0
        if done == images.shape[0]:
            return now + 1
    return -1


def fresh(m: Machine, p: Program, addresses: int) -> State:
    """Memories and registers before the first cycle."""

    def zeros(*shape: int, fill: int = 0) -> Longs:
        return np.full(shape, fill, np.int64)

    a, b, rows = m.arrays, m.buffers, int(-(-p.n_out.max() // m.pes))
    wires = WIRE + max(m.levels, 4)
    values: dict[str, Any] = {
        "words": np.zeros((a, b, m.banks, addresses)), "sums": np.zeros((a, b, m.pes, rows)), "reader": zeros(a, 6), "writer": zeros(a, 6),
        "next_row": zeros(a, m.pes), "waiting": np.ones(p.bank.size, np.bool_), "flying": np.zeros((a, m.latency + 1, m.ports, 2)),
        "flying_to": zeros(a, m.latency + 1, m.ports, 2, fill=-1), "taken": zeros(a, wires, m.ports, fill=-1), "tally": zeros(5),
    }  # fmt: skip
    names = ("bank_mode", "bank_since", "bank_image", "sum_mode", "sum_since", "sum_image", "sum_stage")
    shared: dict[str, Any] = {name: zeros(a, b) for name in names}
    return State(**values, **shared)
