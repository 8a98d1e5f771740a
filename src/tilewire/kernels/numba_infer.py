"""Inference with defined arithmetic: the spikes that evaluation, simulator and chip must agree on.

Training sums in float32 and in whatever order is fast. Inference is defined to the last bit, in float64:

- acc[i] starts at 0; first the input events of the step in ascending channel order, acc[i] += count * weight,
  then last step's spikes in ascending neuron order, acc[i] += weight (several blocks of one source on one tile: in
  slot order);
- v[i] = (leak * v[i] - threshold * z[i]) + acc[i], each operation rounded once, no fused multiply-add;
- z[i] = v[i] > threshold.

Weights are converted from float32 exactly. The kernel is compiled without fast-math flags, and LLVM fuses
nothing unless it is told to; a test holds it bit for bit equal to a plain numpy loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.errors import UsageError
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.kernels.threads import in_shares


def infer(
    events: SpikeEvents,
    w_in: NDArray[np.floating[Any]],
    inputs: Blocks,
    w_rec: NDArray[np.floating[Any]],
    recurrent: Blocks,
    lif: Lif,
    *,
    threads: int = 1,
) -> SpikeEvents:
    """Spikes of all neurons, as events over N channels with count 1; equal for every number of threads.

    ``w_in`` [Pi, S] and ``w_rec`` [Pr, S] are packed as the two ``Blocks`` say, as in ``rsnn``. ``totals()`` of
    the result are the spike counts [B, N]. Raises ``UsageError`` when the shapes disagree.
    """
    for name, weight, blocks, sources in (
        ("w_in", w_in, inputs, events.channels),
        ("w_rec", w_rec, recurrent, recurrent.neurons),
    ):
        if weight.shape != (len(blocks), blocks.tile_size) or blocks.n_sources != sources:
            raise UsageError(
                f"{name} is {list(weight.shape)} over {blocks.n_sources} sources; "
                f"needed {[len(blocks), blocks.tile_size]} over {sources}",
                where="infer",
            )
    if (inputs.n_tiles, inputs.tile_size) != (recurrent.n_tiles, recurrent.tile_size):
        raise UsageError("input and recurrent blocks reach different tiles", where="infer")
    first_order, second_order = inputs.by_source(), recurrent.by_source()
    fixed = (
        (events.ptr, events.channel, events.count.astype(np.float64), events.steps),
        (first_order.ptr, first_order.block, inputs.tile, np.ascontiguousarray(w_in, np.float64)),
        (second_order.ptr, second_order.block, recurrent.tile, np.ascontiguousarray(w_rec, np.float64)),
        (lif.leak, lif.threshold, recurrent.neurons),
    )
    number = np.zeros(events.ptr.size, np.int64)
    found: dict[int, NDArray[np.int32]] = {}

    def work(share: int, first: int, last: int) -> None:
        found[share] = _infer(first, last, *fixed, number[1:])

    in_shares(work, events.batch, threads)
    neuron = np.concatenate([np.zeros(0, np.int32), *(found[share] for share in sorted(found))])
    return SpikeEvents(events.steps, recurrent.neurons, np.cumsum(number), neuron, np.ones(neuron.size, np.float32))


def count_flips(trains: NDArray[Any], spikes: SpikeEvents) -> int:
    """Number of (sample, step, neuron) where spikes of the training arithmetic and of inference differ.

    ``trains`` [B, T, N] are the 0/1 trains of ``rsnn`` with every neuron read out in order.
    """
    shape = (spikes.batch, spikes.steps, spikes.channels)
    if trains.shape != shape:
        raise UsageError(f"trains are {list(trains.shape)}, the spikes {list(shape)}", where="count_flips")
    common = np.count_nonzero(trains.reshape(-1, spikes.channels)[spikes.cells(), spikes.channel])
    return int(np.count_nonzero(trains) + spikes.channel.size - 2 * common)


@njit(cache=True)
def _add(acc: NDArray[np.float64], rows: Any, source: int, scale: float) -> None:
    """acc += scale * the weight rows of one source."""
    ptr, block, tile, weight = rows
    size = weight.shape[1]
    for k in range(ptr[source], ptr[source + 1]):
        p = block[k]
        start = tile[p] * size
        for j in range(size):
            acc[start + j] += scale * weight[p, j]


@njit(cache=True, nogil=True)
def _infer(
    first: int, last: int, cells: Any, inputs: Any, recurrent: Any, neuron: Any, number: NDArray[np.int64]
) -> NDArray[np.int32]:
    """List the spikes of samples ``first .. last - 1`` and write how many each cell has."""
    ptr, channel, count, steps = cells
    leak, threshold, neurons = neuron
    spikes = np.empty(max(1024, 2 * neurons), np.int32)
    end = 0
    acc, v, z = np.empty(neurons), np.empty(neurons), np.empty(neurons)
    for b in range(first, last):
        v[:], z[:] = 0.0, 0.0
        before = end
        for cell in range(b * steps, (b + 1) * steps):
            acc[:] = 0.0
            for e in range(ptr[cell], ptr[cell + 1]):
                _add(acc, inputs, channel[e], count[e])
            for k in range(before, end):
                _add(acc, recurrent, spikes[k], 1.0)
            before = end
            if end + neurons > spikes.size:
                grown = np.empty(2 * spikes.size, np.int32)
                grown[:end] = spikes[:end]
                spikes = grown
            for i in range(neurons):
                v[i] = (leak * v[i] - threshold * z[i]) + acc[i]
                z[i] = 1.0 if v[i] > threshold else 0.0
                if v[i] > threshold:
                    spikes[end] = i
                    end += 1
            number[cell] = end - before
    return spikes[:end]
