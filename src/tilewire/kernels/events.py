"""Spike events of a batch, as sorted lists per (sample, step) cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import UsageError


@dataclass(frozen=True, eq=False)
class SpikeEvents:
    """Which channel carried how many spikes, per sample and time step.

    Cell ``c = sample * steps + step`` owns the events ``ptr[c] : ptr[c + 1]``; inside a cell the channels
    ascend strictly. The same record holds the spikes of N neurons (``channels`` = N, every count 1).

    Attributes: ``steps`` T; ``channels`` I; ``ptr`` int64 [B*T + 1]; ``channel`` int32 [E];
    ``count`` float32 [E], the number of spikes (any finite value is carried).
    Raises ``UsageError`` when the arrays contradict each other.
    """

    steps: int
    channels: int
    ptr: NDArray[np.int64]
    channel: NDArray[np.int32]
    count: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Bring the arrays to their types and verify the contract in O(E)."""
        for name, kind in (("ptr", np.int64), ("channel", np.int32), ("count", np.float32)):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=kind))
        problem = _problem(self)
        if problem:
            raise UsageError(
                f"spike events: {problem}", hint="build them with SpikeEvents.from_dense or sort each cell"
            )

    @property
    def batch(self) -> int:
        """Number of samples B."""
        return (self.ptr.size - 1) // self.steps

    def cells(self) -> NDArray[np.int64]:
        """Cell of every event, int64 [E]."""
        return np.repeat(np.arange(self.ptr.size - 1), np.diff(self.ptr))

    def totals(self) -> NDArray[np.float32]:
        """Counts summed over time, float32 [B, I]."""
        total = np.zeros((self.batch, self.channels), np.float32)
        np.add.at(total, (self.cells() // self.steps, self.channel), self.count)
        return total

    def to_dense(self) -> NDArray[np.float32]:
        """Counts as a dense array, float32 [B, T, I]."""
        dense = np.zeros((self.ptr.size - 1, self.channels), np.float32)
        dense[self.cells(), self.channel] = self.count
        return dense.reshape(self.batch, self.steps, self.channels)

    @staticmethod
    def from_dense(counts: NDArray[np.generic]) -> SpikeEvents:
        """Events of a dense array [B, T, I]: one for every non-zero entry."""
        if counts.ndim != 3 or counts.shape[1] < 1:
            raise UsageError(f"spike events need an array [batch, steps >= 1, channels], not {list(counts.shape)}")
        batch, steps, channels = counts.shape
        flat = counts.reshape(batch * steps, channels)
        cell, channel = np.nonzero(flat)
        ptr = np.zeros(batch * steps + 1, np.int64)
        np.cumsum(np.bincount(cell, minlength=batch * steps), out=ptr[1:])
        count = flat[cell, channel].astype(np.float32)
        return SpikeEvents(steps, channels, ptr, channel.astype(np.int32), count)


def _problem(events: SpikeEvents) -> str:
    """The first broken rule of the record, or an empty string."""
    ptr, channel = events.ptr, events.channel
    if events.steps < 1 or events.channels < 0:
        return f"steps must be >= 1 and channels >= 0, not {events.steps} and {events.channels}"
    if ptr.size < 1 or (ptr.size - 1) % events.steps:
        return f"ptr has {ptr.size} entries, not batch * {events.steps} steps + 1"
    if ptr[0] != 0 or ptr[-1] != channel.size or bool(np.any(np.diff(ptr) < 0)):
        return f"ptr must rise from 0 to the number of events, {channel.size}"
    if events.count.size != channel.size:
        return f"{channel.size} channels but {events.count.size} counts"
    if channel.size and not 0 <= int(channel.min()) <= int(channel.max()) < events.channels:
        return f"channels run {channel.min()}..{channel.max()}, limit 0..{events.channels - 1}"
    inside = np.ones(channel.size, bool)
    inside[ptr[:-1][ptr[:-1] < channel.size]] = False
    if bool(np.any(inside[1:] & (np.diff(channel) <= 0))):
        return "channels must ascend strictly inside a cell"
    if not bool(np.isfinite(events.count).all()):
        return "counts must be finite"
    return ""
