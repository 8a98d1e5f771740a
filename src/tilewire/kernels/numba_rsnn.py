"""Tier 1: event-driven forward pass and block-sparse backpropagation through time, on the CPU.

Forward, sample by sample: the potentials of one step are one row that stays in the first cache; every input
event and every spike adds the weight rows of its source. The rows of all steps are kept, nothing else is.

Backward, ``LANES`` samples at a time: dv is held as [neuron][lane], so that one weight meets all lanes in one
vector operation (``tile_product``); squares are transposed on the way in (v) and out (dv as rows), and the
weight gradients are again one row addition per event, into one private buffer per thread.

Cost per step and sample: N for the neuron model, S for every event and branch it meets, and S per branch
shared by ``LANES`` samples. Results depend on the number of threads only through the rounding of the weight
gradients, whose private buffers are summed in thread order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.kernels.numba_layout import CACHE_LINE, Fans, Rows
from tilewire.kernels.numba_vector import (
    LANES,
    SCAN,
    TAIL,
    WIDE,
    above,
    add_row,
    lowest_bit,
    neurons_back,
    tile_product,
)


class Cells(NamedTuple):
    """The arrays of ``SpikeEvents``, counts in the precision of the weights."""

    ptr: NDArray[np.int64]
    channel: NDArray[np.int32]
    times: NDArray[Any]


class Fired(NamedTuple):
    """The spikes of the forward pass: cell c has ``neuron[ptr[c] : ptr[c + 1]]``, ascending."""

    ptr: NDArray[np.int64]
    neuron: NDArray[np.int32]


class Dynamics(NamedTuple):
    """Numbers of the neuron model in the precision of the weights; ``reset`` is 0 without reset gradient."""

    leak: Any
    threshold: Any
    slope: Any
    reset: Any
    one: Any


EAGER = 4
"""Weight rows listed for every spike without asking how many it has."""


def row_width(neurons: int) -> int:
    """Elements of one row of potentials: whole scans, and an odd number of cache lines after them.

    Without the extra lanes the rows of a group would share one set of the first cache when N is a power of two.
    """
    return -(-neurons // SCAN) * SCAN + LANES


@njit(cache=True)
def _add(to: NDArray[Any], i: int, row: NDArray[Any], j: int, size: int, scale: Any) -> None:
    """``to[i : i + size] += scale * row[j : j + size]`` for a ``size`` that is a multiple of ``TAIL``."""
    stop = j + size
    while j + WIDE <= stop:
        add_row(to, i, row, j, scale, WIDE)
        i, j = i + WIDE, j + WIDE
    if j + LANES <= stop:
        add_row(to, i, row, j, scale, LANES)
        i, j = i + LANES, j + LANES
    while j < stop:
        add_row(to, i, row, j, scale, TAIL)
        i, j = i + TAIL, j + TAIL


@njit(cache=True)
def _add_row(flat: NDArray[Any], start: int, rows: Rows, row: int, scale: Any) -> None:
    """Add one weight row to the potentials that begin at ``start``."""
    at = rows.at[row]
    _add(flat, start + rows.to[row], rows.weight, at, rows.at[row + 1] - at, scale)


@njit(cache=True)
def _collect_row(grad: NDArray[Any], rows: Rows, row: int, flat: NDArray[Any], start: int, scale: Any) -> None:
    """Add the errors that begin at ``start`` to the gradient of one weight row."""
    at = rows.at[row]
    _add(grad, at, flat, start + rows.to[row], rows.at[row + 1] - at, scale)


@njit(cache=True)
def _list_rows(found: NDArray[np.int32], rows: Rows, spikes: NDArray[np.int32], first: int, last: int) -> int:
    """List the weight rows of the spikes ``first .. last - 1``; return their number.

    ``EAGER`` entries are written for every spike and those beyond its fan-out overwritten by the next one: a loop of
    unpredictable, small length would cost more in mispredicted branches than the additions themselves.
    """
    n = 0
    for k in range(first, last):
        row, stop = rows.ptr[spikes[k]], rows.ptr[spikes[k] + 1]
        for extra in range(EAGER):
            found[n + extra] = row + extra
        for extra in range(EAGER, stop - row):
            found[n + extra] = row + extra
        n += stop - row
    return n


@njit(cache=True)
def _spiking(spikes: NDArray[np.int32], end: int, flat: NDArray[Any], start: int, width: int, threshold: Any) -> int:
    """Append the neurons above threshold in ascending order; return the new end of the list."""
    for i in range(0, width - LANES, SCAN):
        bits = above(flat, start + i, threshold)
        while bits:
            spikes[end] = i + lowest_bit(bits)
            end += 1
            bits &= bits - np.uint64(1)
    return end


@njit(cache=True, fastmath={"contract"})
def _leak(now: NDArray[Any], before: NDArray[Any], leak: Any) -> None:
    for i in range(now.size):
        now[i] = leak * before[i]


@njit(cache=True)
def _forward_sample(
    b: int,
    cells: Cells,
    inputs: Rows,
    recurrent: Rows,
    dynamics: Dynamics,
    readout: NDArray[np.int64],
    v: NDArray[Any],
    kept: int,
    counts: NDArray[Any],
    trains: NDArray[Any],
    fired: NDArray[np.int64],
    spikes: NDArray[np.int32],
    end: int,
    listed: NDArray[np.int32],
) -> tuple[NDArray[np.int32], int]:
    """Run one sample; its spikes are appended to ``spikes``, which is returned (it may have grown)."""
    steps = trains.shape[1]
    flat, width = v.reshape(v.size), v.shape[1]
    first, before = end, 0
    for t in range(steps):
        start = (b * kept + t % kept) * width
        if t == 0:
            flat[start : start + width] = 0
        else:
            _leak(flat[start : start + width], flat[before : before + width], dynamics.leak)
        for e in range(cells.ptr[b * steps + t], cells.ptr[b * steps + t + 1]):
            for row in range(inputs.ptr[cells.channel[e]], inputs.ptr[cells.channel[e] + 1]):
                _add_row(flat, start, inputs, row, cells.times[e])
        for k in range(first, end):
            flat[start + spikes[k]] -= dynamics.threshold
        for k in range(_list_rows(listed, recurrent, spikes, first, end)):
            _add_row(flat, start, recurrent, listed[k], dynamics.one)
        if end + width > spikes.size:
            grown = np.empty(2 * spikes.size, np.int32)
            grown[:end] = spikes[:end]
            spikes = grown
        first, end = end, _spiking(spikes, end, flat, start, width, dynamics.threshold)
        fired[b * steps + t] = end - first
        for k in range(first, end):
            counts[b, spikes[k]] += 1
        for k in range(readout.size):
            trains[b, t, k] = flat[start + readout[k]] > dynamics.threshold
        before = start
    return spikes, end


@njit(cache=True, nogil=True)
def forward(
    first: int,
    last: int,
    cells: Cells,
    inputs: Rows,
    recurrent: Rows,
    dynamics: Dynamics,
    readout: NDArray[np.int64],
    v: NDArray[Any],
    kept: int,
    counts: NDArray[Any],
    trains: NDArray[Any],
    fired: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Run samples ``first .. last - 1``: fill ``v``, ``counts`` [B, N] (zero on entry), ``trains`` [B, T, n_out].

    ``v`` [B * kept, row_width(N)] keeps the potentials of the last ``kept`` steps: all of them (``kept`` = T)
    for a backward pass, two without. Returns the spiking neurons of all cells in order; ``fired`` [B * T] says
    how many each cell has.
    """
    width = v.shape[1]
    spikes, end = np.empty(4 * width, np.int32), 0
    listed = np.empty(recurrent.to.size + EAGER, np.int32)
    for b in range(first, last):
        spikes, end = _forward_sample(
            b, cells, inputs, recurrent, dynamics, readout, v, kept, counts, trains, fired, spikes, end, listed
        )
    return spikes[:end]


@njit(cache=True)
def _together(potentials: NDArray[Any], v: NDArray[Any], first: int, samples: int, steps: int) -> None:
    """Copy one step of a group with missing samples to ``potentials`` [LANES * width]."""
    width = v.shape[1]
    for lane in range(samples):
        potentials[lane * width : (lane + 1) * width] = v[first + lane * steps]


@njit(cache=True)
def _backward_branches(fans: Fans, size: int, dv: NDArray[Any], dz: NDArray[Any]) -> None:
    """dz[t] += W dv[t + 1], tile by tile."""
    for q in range(fans.ptr.size - 1):
        j, first, last = 0, fans.ptr[q], fans.ptr[q + 1]
        while j + LANES <= fans.stride:
            tile_product(dz, dv, q * size + j, fans.weight, j, fans.stride, fans.source, first, last, LANES)
            j += LANES
        while j < fans.stride:
            tile_product(dz, dv, q * size + j, fans.weight, j, fans.stride, fans.source, first, last, TAIL)
            j += TAIL


@njit(cache=True)
def _zeros(size: int, like: NDArray[Any]) -> NDArray[Any]:
    """Zeros of the type of ``like`` that begin at a cache line."""
    block = np.zeros(size + CACHE_LINE, like.dtype)
    start = -block.ctypes.data % CACHE_LINE // like.itemsize
    return block[start : start + size]


@njit(cache=True)
def _backward_group(
    group: int,
    cells: Cells,
    fired: Fired,
    inputs: Rows,
    recurrent: Rows,
    fans: Fans,
    size: int,
    dynamics: Dynamics,
    readout: NDArray[np.int64],
    v: NDArray[Any],
    g_counts: NDArray[Any],
    g_trains: NDArray[Any],
    grad_in: NDArray[Any],
    grad_rec: NDArray[Any],
) -> None:
    """Backpropagate ``LANES`` samples through all steps and add their weight gradients."""
    steps, width = g_trains.shape[1], v.shape[1]
    flat = v.reshape(v.size)
    samples = min(LANES, g_counts.shape[0] - group * LANES)
    dv, dz, dz_next = _zeros(width * LANES, v), _zeros(width * LANES, v), _zeros(width * LANES, v)
    rows, gathered = _zeros(width * LANES, v), _zeros(width * LANES, v)
    listed = np.empty(recurrent.to.size + EAGER, np.int32)
    for lane in range(samples):
        for i in range(g_counts.shape[1]):
            dz_next[i * LANES + lane] = g_counts[group * LANES + lane, i]
    dz[:] = dz_next
    for t in range(steps - 1, -1, -1):
        for lane in range(samples):
            for k in range(readout.size):
                dz[readout[k] * LANES + lane] += g_trains[group * LANES + lane, t, k]
        first, stride, potentials = group * LANES * steps + t, steps * width, flat
        if samples < LANES:
            _together(gathered, v, first, samples, steps)
            first, stride, potentials = 0, width, gathered
        for i in range(0, width - LANES, LANES):
            at = first * width + i
            neurons_back(dv, dz, dz_next, i * LANES, rows, i, width, potentials, at, stride, dynamics)
        for lane in range(samples):
            cell = (group * LANES + lane) * steps + t
            for e in range(cells.ptr[cell], cells.ptr[cell + 1]):
                for row in range(inputs.ptr[cells.channel[e]], inputs.ptr[cells.channel[e] + 1]):
                    _collect_row(grad_in, inputs, row, rows, lane * width, cells.times[e])
            if t > 0:
                n = _list_rows(listed, recurrent, fired.neuron, fired.ptr[cell - 1], fired.ptr[cell])
                for k in range(n):
                    _collect_row(grad_rec, recurrent, listed[k], rows, lane * width, dynamics.one)
        if t > 0:
            _backward_branches(fans, size, dv, dz)


@njit(cache=True, nogil=True)
def backward(
    first: int,
    last: int,
    cells: Cells,
    fired: Fired,
    inputs: Rows,
    recurrent: Rows,
    fans: Fans,
    size: int,
    dynamics: Dynamics,
    readout: NDArray[np.int64],
    v: NDArray[Any],
    g_counts: NDArray[Any],
    g_trains: NDArray[Any],
    grad_in: NDArray[Any],
    grad_rec: NDArray[Any],
) -> None:
    """Add the weight gradients of the groups ``first .. last - 1`` to ``grad_in`` and ``grad_rec``, packed as rows."""
    for group in range(first, last):
        _backward_group(
            group,
            cells,
            fired,
            inputs,
            recurrent,
            fans,
            size,
            dynamics,
            readout,
            v,
            g_counts,
            g_trains,
            grad_in,
            grad_rec,
        )


def groups(batch: int) -> int:
    """Number of groups of ``LANES`` samples, the unit of work of ``backward``."""
    return -(-batch // LANES)
