"""Batches of spike events, plain or augmented: shifted in channel and time, spikes dropped. All random numbers come from the caller."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from tilewire.data.record import EventPack
from tilewire.errors import DataError
from tilewire.kernels.events import SpikeEvents


@dataclass(frozen=True)
class Augmentation:
    """Per sample: shift by a uniform whole number of channels in -channel_shift .. channel_shift and of steps in -time_shift .. time_shift
    (what leaves the frame is lost); per spike: dropped with probability `drop`. The default does nothing."""

    channel_shift: int = 0
    time_shift: int = 0
    drop: float = 0.0

    def __post_init__(self) -> None:
        if self.channel_shift < 0 or self.time_shift < 0 or not 0 <= self.drop < 1:
            raise DataError(f"{self}: shifts must be 0 or more, drop must be in [0, 1)")


def batch(
    pack: EventPack,
    indices: ArrayLike,
    augmentation: Augmentation | None = None,
    rng: np.random.Generator | None = None,
) -> SpikeEvents:
    """The chosen samples as the kernels' events, in the given order; with `augmentation`, changed anew by draws from `rng`.

    Thinning is binomial: a cell of c spikes keeps Binomial(c, 1 - drop). Drawn from `rng`: channel shift and time shift of each
    sample, then one number per event if spikes are dropped. Raises DataError when an augmentation comes without a generator.
    """
    chosen = np.asarray(indices, dtype=np.int64)
    wanted = augmentation or Augmentation()
    if rng is None and wanted != Augmentation():
        raise DataError("augmentation needs a random generator")
    if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(pack):
        raise DataError(f"samples {chosen.min()} .. {chosen.max()} outside 0 .. {len(pack) - 1}")
    total = int(np.sum(pack.ptr[chosen + 1] - pack.ptr[chosen]))
    shift = np.zeros((2, chosen.size), dtype=np.int64)
    uniform = np.zeros(0, dtype=np.float32)
    if rng is not None:
        for row, span in zip(shift, (wanted.channel_shift, wanted.time_shift), strict=True):
            if span:
                row[:] = rng.integers(-span, span + 1, chosen.size)
        if wanted.drop:
            uniform = rng.random(total, dtype=np.float32)
    ptr = np.zeros(chosen.size * pack.steps + 1, dtype=np.int64)
    channel, count = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.float32)
    events = (pack.ptr, pack.step, pack.channel, pack.count, pack.steps, pack.channels)
    size = _gather(*events, chosen, shift, uniform, wanted.drop, ptr, channel, count)
    return SpikeEvents(pack.steps, pack.channels, ptr, channel[:size], count[:size])


@njit(cache=True)
def _gather(
    pack_ptr: NDArray[np.int64],
    pack_step: NDArray[np.uint16],
    pack_channel: NDArray[np.uint16],
    pack_count: NDArray[np.uint8],
    steps: int,
    channels: int,
    chosen: NDArray[np.int64],
    shift: NDArray[np.int64],
    uniform: NDArray[np.float32],
    drop: float,
    ptr: NDArray[np.int64],
    channel: NDArray[np.int32],
    count: NDArray[np.float32],
) -> int:
    """Fills ptr, channel and count with the shifted, thinned events of the chosen samples; returns how many remain."""
    size = seen = 0
    for b in range(chosen.size):
        for e in range(pack_ptr[chosen[b]], pack_ptr[chosen[b] + 1]):
            to_channel = np.int64(pack_channel[e]) + shift[0, b]
            to_step = np.int64(pack_step[e]) + shift[1, b]
            spikes = int(pack_count[e])
            kept = _kept(spikes, drop, uniform[seen]) if drop > 0.0 else spikes
            seen += 1
            if kept > 0 and 0 <= to_channel < channels and 0 <= to_step < steps:
                channel[size] = to_channel
                count[size] = kept
                ptr[b * steps + to_step + 1] += 1
                size += 1
    for cell in range(1, ptr.size):
        ptr[cell] += ptr[cell - 1]
    return size


@njit(cache=True)
def _kept(spikes: int, drop: float, uniform: float) -> int:
    """Binomial(spikes, 1 - drop) by inversion of one uniform number, along the side whose first term cannot underflow."""
    if spikes == 1:
        return 1 if uniform >= drop else 0
    rare = min(drop, 1.0 - drop)
    mass = below = (1.0 - rare) ** spikes
    drawn = 0
    while uniform >= below and drawn < spikes:
        mass *= rare / (1.0 - rare) * (spikes - drawn) / (drawn + 1)
        drawn += 1
        below += mass
    return spikes - drawn if drop <= 0.5 else drawn
