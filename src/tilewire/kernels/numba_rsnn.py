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

from tilewire.kernels.numba_layout import Fans, Rows
from tilewire.kernels.numba_vector import (
    LANES,
    SCAN,
    TAIL,
    above,
    add_row,
    lowest_bit,
    tile_product,
    transpose,
)


class Cells(NamedTuple):
    """The arrays of ``SpikeEvents``, counts in the precision of the weights."""

    ptr: NDArray[np.int64]
    channel: NDArray[np.int32]
    times: NDArray[Any]


class Dynamics(NamedTuple):
    """Numbers of the neuron model in the precision of the weights; ``reset`` is 0 without reset gradient."""

    leak: Any
    threshold: Any
    slope: Any
    reset: Any
    one: Any


def row_width(neurons: int) -> int:
    """Elements of one row of potentials: whole scans, and an odd number of cache lines after them.

    Without the extra lanes the 16 rows of a group would share one set of the first cache when N is a power of two.
    """
    return -(-neurons // SCAN) * SCAN + LANES


@njit(cache=True)
def _first_row(group: int, step: int, samples: int, kept: int) -> int:
    """Row of the first sample of a group at one step; the samples of a group lie side by side."""
    return group * LANES * kept + (step % kept) * samples


@njit(cache=True)
def _add_source(flat: NDArray[Any], start: int, rows: Rows, source: int, scale: Any) -> None:
    """Add the weight rows of one source to the potentials that begin at ``start``."""
    for r in range(rows.ptr[source], rows.ptr[source + 1]):
        to, j, stop = start + rows.to[r], rows.at[r], rows.at[r + 1]
        while j + LANES <= stop:
            add_row(flat, to, rows.weight, j, scale, LANES)
            to, j = to + LANES, j + LANES
        while j < stop:
            add_row(flat, to, rows.weight, j, scale, TAIL)
            to, j = to + TAIL, j + TAIL


@njit(cache=True)
def _collect_source(grad: NDArray[Any], rows: Rows, source: int, flat: NDArray[Any], start: int, scale: Any) -> None:
    """Add the errors that begin at ``start`` to the gradient of the weight rows of one source."""
    for r in range(rows.ptr[source], rows.ptr[source + 1]):
        to, j, stop = start + rows.to[r], rows.at[r], rows.at[r + 1]
        while j + LANES <= stop:
            add_row(grad, j, flat, to, scale, LANES)
            to, j = to + LANES, j + LANES
        while j < stop:
            add_row(grad, j, flat, to, scale, TAIL)
            to, j = to + TAIL, j + TAIL


@njit(cache=True)
def _spiking(spikes: NDArray[np.int64], flat: NDArray[Any], start: int, width: int, threshold: Any) -> int:
    """List the neurons above threshold in ascending order; return their number."""
    found = 0
    for i in range(0, width - LANES, SCAN):
        bits = above(flat, start + i, threshold)
        while bits:
            spikes[found] = i + lowest_bit(bits)
            found += 1
            bits &= bits - np.uint64(1)
    return found


@njit(cache=True, fastmath={"contract"})
def _leak(flat: NDArray[Any], start: int, before: int, width: int, leak: Any) -> None:
    for i in range(width):
        flat[start + i] = leak * flat[before + i]


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
    spikes: NDArray[np.int64],
    counts: NDArray[Any],
    trains: NDArray[Any],
) -> None:
    steps = trains.shape[1]
    flat, width = v.reshape(v.size), v.shape[1]
    group, lane = b // LANES, b % LANES
    samples = min(LANES, counts.shape[0] - group * LANES)
    found, before = 0, 0
    for t in range(steps):
        start = (_first_row(group, t, samples, kept) + lane) * width
        if t == 0:
            flat[start : start + width] = 0
        else:
            _leak(flat, start, before, width, dynamics.leak)
        for k in range(found):
            flat[start + spikes[k]] -= dynamics.threshold
        for e in range(cells.ptr[b * steps + t], cells.ptr[b * steps + t + 1]):
            _add_source(flat, start, inputs, cells.channel[e], cells.times[e])
        for k in range(found):
            _add_source(flat, start, recurrent, spikes[k], dynamics.one)
        found = _spiking(spikes, flat, start, width, dynamics.threshold)
        for k in range(found):
            counts[b, spikes[k]] += 1
        for k in range(readout.size):
            trains[b, t, k] = flat[start + readout[k]] > dynamics.threshold
        before = start


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
) -> None:
    """Run samples ``first .. last - 1``: fill ``v``, ``counts`` [B, N] (zero on entry), ``trains`` [B, T, n_out].

    ``v`` [B * kept, row_width(N)] keeps the potentials of the last ``kept`` steps: all of them (``kept`` = T)
    for a backward pass, two without.
    """
    spikes = np.empty(v.shape[1], np.int64)
    for b in range(first, last):
        _forward_sample(b, cells, inputs, recurrent, dynamics, readout, v, kept, spikes, counts, trains)


@njit(cache=True, fastmath={"contract", "arcp", "nsz"})
def _neuron_errors(
    square: NDArray[Any], dv: NDArray[Any], dz: NDArray[Any], dz_next: NDArray[Any], start: int, dynamics: Dynamics
) -> None:
    """One square of the neuron model backwards: dv[t] from dv[t + 1], dz[t] and v[t]; dz then restarts."""
    for i in range(LANES * LANES):
        distance = abs(square[i] - dynamics.threshold)
        surrogate = dynamics.one / (dynamics.one + dynamics.slope * distance)
        error = dv[start + i]
        through = dz[start + i] - dynamics.reset * error
        dv[start + i] = dynamics.leak * error + surrogate * surrogate * through
        dz[start + i] = dz_next[start + i]


@njit(cache=True)
def _backward_neurons(
    flat: NDArray[Any],
    first: int,
    width: int,
    samples: int,
    square: NDArray[Any],
    dv: NDArray[Any],
    dz: NDArray[Any],
    dz_next: NDArray[Any],
    rows: NDArray[Any],
    dynamics: Dynamics,
) -> None:
    """The neuron model backwards for one group and step; dv leaves as lanes (``dv``) and as ``rows``."""
    for i in range(0, width, LANES):
        if samples == LANES:
            transpose(square, 0, LANES, flat, first * width + i, width)
        else:
            for lane in range(samples):
                for c in range(LANES):
                    square[c * LANES + lane] = flat[(first + lane) * width + i + c]
        _neuron_errors(square, dv, dz, dz_next, i * LANES, dynamics)
        transpose(rows, i, width, dv, i * LANES, LANES)


@njit(cache=True)
def _backward_branches(fans: Fans, size: int, dv: NDArray[Any], dz: NDArray[Any]) -> None:
    """dz[t] += W dv[t + 1], tile by tile."""
    for q in range(fans.ptr.size - 1):
        j = 0
        while j + LANES <= fans.stride:
            tile_product(
                dz, dv, q * size + j, fans.weight, j, fans.stride, fans.source, fans.ptr[q], fans.ptr[q + 1], LANES
            )
            j += LANES
        while j < fans.stride:
            tile_product(
                dz, dv, q * size + j, fans.weight, j, fans.stride, fans.source, fans.ptr[q], fans.ptr[q + 1], TAIL
            )
            j += TAIL


@njit(cache=True)
def _backward_group(
    group: int,
    cells: Cells,
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
    dv, dz_next = np.zeros(width * LANES, v.dtype), np.zeros(width * LANES, v.dtype)
    rows, square = np.zeros(width * LANES, v.dtype), np.zeros(LANES * LANES, v.dtype)
    spikes = np.empty(width, np.int64)
    for lane in range(samples):
        for i in range(g_counts.shape[1]):
            dz_next[i * LANES + lane] = g_counts[group * LANES + lane, i]
    dz = dz_next.copy()
    for t in range(steps - 1, -1, -1):
        for lane in range(samples):
            for k in range(readout.size):
                dz[readout[k] * LANES + lane] += g_trains[group * LANES + lane, t, k]
        first = _first_row(group, t, samples, steps)
        _backward_neurons(flat, first, width, samples, square, dv, dz, dz_next, rows, dynamics)
        for lane in range(samples):
            cell = (group * LANES + lane) * steps + t
            for e in range(cells.ptr[cell], cells.ptr[cell + 1]):
                _collect_source(grad_in, inputs, cells.channel[e], rows, lane * width, cells.times[e])
            if t > 0:
                before = (_first_row(group, t - 1, samples, steps) + lane) * width
                for k in range(_spiking(spikes, flat, before, width, dynamics.threshold)):
                    _collect_source(grad_rec, recurrent, spikes[k], rows, lane * width, dynamics.one)
        if t > 0:
            _backward_branches(fans, size, dv, dz)


@njit(cache=True, nogil=True)
def backward(
    first: int,
    last: int,
    cells: Cells,
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
