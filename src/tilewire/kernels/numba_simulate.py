"""A mapped network event by event: spikes walk their trees link by link and read a row of the crossbar where they enter a tile.

Arithmetic of a step, as in `numba_infer`: input events in ascending channel order, then last step's spikes in ascending neuron order, all
in float64. What a spike reaches follows from the trees alone: a link carries it only if its source node has been reached, a tile serves it
only if the tree enters the tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.kernels.threads import in_shares

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]


class Rows(NamedTuple):
    """Crossbar rows grouped by source: rows ``ptr[s] : ptr[s + 1]`` add ``weight[row]`` [S] to the neurons of ``group[row]``."""

    ptr: Longs
    group: Longs
    weight: NDArray[np.float64]


class Walk(NamedTuple):
    """Trees of all nets and the graph they run on.

    Net i holds links ``link[ptr[i] : ptr[i + 1]]`` and starts at node ``home[i]``; entry k, where it enters a tile, is served by rows
    ``first[k] : last[k]`` of that tile's crossbar; ``own_first``, ``own_last`` [neurons] are the rows of the own tile. ``channels`` are
    those of each link, ``is_tile`` [nodes] marks nodes that take a spike in and never pass it on.
    """

    ptr: Longs
    link: Ints
    first: Longs
    last: Longs
    own_first: Longs
    own_last: Longs
    home: Ints
    link_source: Ints
    link_target: Ints
    channels: Ints
    is_tile: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Traced:
    """What happened. Per cell (sample, step) int32 [cells]: ``hops``, events of the busiest link ``port_events``, ``port_rounds`` = most
    channel loads that a link needs for its events, rows read on the busiest tile ``tile_rows``, spikes of the busiest tile ``tile_spikes``.
    In all: ``link_events`` int64 [links], rows read ``input_rows``, ``own_rows``, ``branch_rows`` int64 [tiles] by group.
    """

    spikes: SpikeEvents
    hops: Ints
    port_events: Ints
    port_rounds: Ints
    tile_rows: Ints
    tile_spikes: Ints
    link_events: Longs
    input_rows: Longs
    own_rows: Longs
    branch_rows: Longs


def trace(events: SpikeEvents, inputs: Rows, recurrent: Rows, walk: Walk, lif: Lif, *, threads: int = 1) -> Traced:
    """Run all samples of ``events``; equal for every number of threads."""
    size, neurons = recurrent.weight.shape[1], walk.home.size
    per_cell = np.zeros((5, events.ptr.size - 1), np.int32)
    number = np.zeros(events.ptr.size, np.int64)
    found: dict[int, tuple[Ints, Longs, Longs]] = {}
    cells = (events.ptr, events.channel, events.count.astype(np.float64), events.steps)

    def work(share: int, first: int, last: int) -> None:
        on_link, rows = np.zeros(walk.channels.size, np.int64), np.zeros((3, neurons // size), np.int64)
        spikes = _trace(
            first, last, cells, inputs, recurrent, walk, (lif.leak, lif.threshold), number[1:], per_cell, on_link, rows
        )
        found[share] = spikes, on_link, rows

    in_shares(work, events.batch, threads)
    order = sorted(found)
    neuron = np.concatenate([np.zeros(0, np.int32), *(found[share][0] for share in order)])
    spikes = SpikeEvents(events.steps, neurons, np.cumsum(number), neuron, np.ones(neuron.size, np.float32))
    on_link = sum((found[share][1] for share in order), np.zeros(walk.channels.size, np.int64))
    rows = sum((found[share][2] for share in order), np.zeros((3, neurons // size), np.int64))
    hops, port_events, port_rounds, tile_rows, tile_spikes = per_cell
    input_rows, own_rows, branch_rows = rows
    return Traced(
        spikes, hops, port_events, port_rounds, tile_rows, tile_spikes, on_link, input_rows, own_rows, branch_rows
    )


@njit(cache=True)
def _read(acc: NDArray[np.float64], rows: Any, first: int, last: int, scale: float) -> None:
    """acc [groups, S] += scale * rows ``first .. last - 1``."""
    for row in range(first, last):
        group = rows.group[row]
        for j in range(acc.shape[1]):
            acc[group, j] += scale * rows.weight[row, j]


@njit(cache=True)
def _count(read: Longs, on_tile: Longs, rows: Any, first: int, last: int) -> None:
    """Count rows ``first .. last - 1`` as read, for the whole run and for this step."""
    for row in range(first, last):
        read[rows.group[row]] += 1
        on_tile[rows.group[row]] += 1


@njit(cache=True)
def _travel(
    neuron: int, walk: Any, rows: Any, stamp: int, reached: Longs, on_link: Longs, read: Longs, on_tile: Longs,
    queue: Longs, queued: int,
) -> tuple[int, int]:  # fmt: skip
    """Walk one spike along its tree and queue the rows that it will read; returns links crossed and the length of the queue."""
    first, last = walk.own_first[neuron], walk.own_last[neuron]
    if first < last:
        queue[queued], queue[queued + 1] = first, last
        queued += 2
        _count(read[1], on_tile, rows, first, last)
    reached[walk.home[neuron]] = stamp
    crossed = 0
    for k in range(walk.ptr[neuron], walk.ptr[neuron + 1]):
        link = walk.link[k]
        if reached[walk.link_source[link]] != stamp:
            continue
        on_link[link] += 1
        crossed += 1
        target = walk.link_target[link]
        if abs(reached[target]) == stamp:
            continue
        reached[target] = -stamp if walk.is_tile[target] else stamp
        if walk.first[k] < walk.last[k]:
            queue[queued], queue[queued + 1] = walk.first[k], walk.last[k]
            queued += 2
            _count(read[2], on_tile, rows, walk.first[k], walk.last[k])
    return crossed, queued


@njit(cache=True)
def _busiest(on_link: Longs, total: Longs, channels: Ints) -> tuple[int, int]:
    """Most events on a link in this step and most rounds that a link needs for them; moves the step's events to the total."""
    events, rounds = 0, 0
    for link in range(on_link.size):
        here = on_link[link]
        if here:
            events = max(events, here)
            rounds = max(rounds, -(-here // max(channels[link], 1)))
            total[link] += here
            on_link[link] = 0
    return events, rounds


@njit(cache=True, nogil=True)
def _trace(
    begin: int, end: int, cells: Any, inputs: Any, recurrent: Any, walk: Any, neuron: Any, number: Longs, per_cell: Any,
    total: Longs, read: Longs,
) -> Ints:  # fmt: skip
    """List the spikes of samples ``begin .. end - 1``; write counts per cell, and counts of the whole into ``total`` and ``read``."""
    ptr, channel, count, steps = cells
    leak, threshold = neuron
    neurons, size = walk.home.size, recurrent.weight.shape[1]
    spikes = np.empty(max(1024, 2 * neurons), np.int32)
    queue = np.empty(2 * (walk.link.size + neurons), np.int64)
    reached, on_link = np.zeros(walk.is_tile.size, np.int64), np.zeros(total.size, np.int64)
    on_tile, fired = np.zeros(neurons // size, np.int64), np.zeros(neurons // size, np.int64)
    acc, v, z = np.empty((neurons // size, size)), np.empty((neurons // size, size)), np.empty((neurons // size, size))
    used, stamp = 0, 0
    for b in range(begin, end):
        v[:], z[:] = 0.0, 0.0
        queued = 0
        for cell in range(b * steps, (b + 1) * steps):
            acc[:], on_tile[:] = 0.0, 0
            for e in range(ptr[cell], ptr[cell + 1]):
                first, last = inputs.ptr[channel[e]], inputs.ptr[channel[e] + 1]
                _read(acc, inputs, first, last, count[e])
                _count(read[0], on_tile, inputs, first, last)
            for q in range(0, queued, 2):
                _read(acc, recurrent, queue[q], queue[q + 1], 1.0)
            if used + neurons > spikes.size:
                grown = np.empty(2 * spikes.size, np.int32)
                grown[:used] = spikes[:used]
                spikes = grown
            queued, before = 0, used
            for g in range(neurons // size):
                for j in range(size):
                    v[g, j] = (leak * v[g, j] - threshold * z[g, j]) + acc[g, j]
                    z[g, j] = 1.0 if v[g, j] > threshold else 0.0
                first = used
                for j in range(size):
                    if z[g, j] != 0.0:
                        spikes[used] = g * size + j
                        used += 1
                fired[g] = used - first
            hops = 0
            for k in range(before, used):
                stamp += 1
                crossed, queued = _travel(
                    spikes[k], walk, recurrent, stamp, reached, on_link, read, on_tile, queue, queued
                )
                hops += crossed
            number[cell] = used - before
            per_cell[0, cell] = hops
            per_cell[1, cell], per_cell[2, cell] = _busiest(on_link, total, walk.channels)
            per_cell[3, cell], per_cell[4, cell] = on_tile.max(), fired.max()
    return spikes[:used]
