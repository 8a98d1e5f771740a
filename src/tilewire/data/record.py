"""Records of spiking data sets: packs of spike events, compact enough for 700 channels and 100,000 samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilewire.errors import DataError

Kind = Literal["real", "recorded", "synthetic"]
SPLITS = ("train", "validation", "test")
LARGEST_COUNT = 255
_SORT_CHUNK = 1 << 22  # events sorted at once, bounds the memory of `from_events`


@dataclass(frozen=True, eq=False)
class EventPack:
    """Spike counts of n samples over `steps` time steps and `channels` input channels; only non-zero counts are kept.

    ptr int64 [n+1]: events of sample i are ptr[i] .. ptr[i+1]-1, strictly ascending by (step, channel).
    step uint16 [E], channel uint16 [E], count uint8 [E] >= 1, label int32 [n], speaker int32 [n] or None.
    step_s: length of a step in s, None if unknown. Raises DataError when the arrays do not belong together.
    """

    ptr: NDArray[np.int64]
    step: NDArray[np.uint16]
    channel: NDArray[np.uint16]
    count: NDArray[np.uint8]
    steps: int
    channels: int
    label: NDArray[np.int32]
    speaker: NDArray[np.int32] | None = None
    step_s: float | None = None

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise DataError("not a pack of spike events: " + "; ".join(problems))

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def from_events(
        cls,
        sample: NDArray[np.integer],
        step: NDArray[np.integer],
        channel: NDArray[np.integer],
        count: NDArray[np.integer],
        *,
        steps: int,
        channels: int,
        label: ArrayLike,
        speaker: ArrayLike | None = None,
        step_s: float | None = None,
    ) -> EventPack:
        """Pack of events given in any order within a sample, samples ascending; equal cells are summed.

        sample, step, channel, count: integer [E]. Raises DataError if a value is out of range or a sum exceeds 255.
        """
        labels = np.asarray(label, dtype=np.int32)
        ptr = np.searchsorted(sample, np.arange(len(labels) + 1)).astype(np.int64)
        for name, values, low, high in (
            ("step", step, 0, steps - 1),
            ("channel", channel, 0, channels - 1),
            ("count", count, 1, 255),
        ):
            if values.dtype.kind not in "iu" or (values.size and (values.min() < low or values.max() > high)):
                found = f"{values.min()} .. {values.max()} ({values.dtype})"
                raise DataError(f"{name} {found} outside {low} .. {high}")
        cells, sums = _summed(ptr, step, channel, count, steps, channels)
        if sums.size and sums.max() > LARGEST_COUNT:
            raise DataError(
                f"{sums.max()} spikes in one step and channel, a pack holds at most {LARGEST_COUNT}",
                hint="use shorter time steps",
            )
        owner, within = np.divmod(cells, steps * channels)
        return cls(
            ptr=np.searchsorted(owner, np.arange(len(labels) + 1)).astype(np.int64),
            step=(within // channels).astype(np.uint16),
            channel=(within % channels).astype(np.uint16),
            count=sums.astype(np.uint8),
            steps=steps,
            channels=channels,
            label=labels,
            speaker=None if speaker is None else np.asarray(speaker, dtype=np.int32),
            step_s=step_s,
        )

    @classmethod
    def from_dense(
        cls,
        counts: NDArray[np.integer],
        label: ArrayLike,
        speaker: ArrayLike | None = None,
        step_s: float | None = None,
    ) -> EventPack:
        """Pack of dense counts, integer [n, steps, channels], each 0 .. 255."""
        sample, step, channel = np.nonzero(counts)
        n, steps, channels = counts.shape
        if len(np.asarray(label)) != n:
            raise DataError(f"{n} samples but {len(np.asarray(label))} labels")
        return cls.from_events(
            sample,
            step,
            channel,
            counts[sample, step, channel],
            steps=steps,
            channels=channels,
            label=label,
            speaker=speaker,
            step_s=step_s,
        )

    def events_of(self, indices: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions of the events of the chosen samples, in their order, and the new ptr int64 [len(indices)+1]."""
        chosen = np.asarray(indices, dtype=np.int64)
        sizes = self.ptr[chosen + 1] - self.ptr[chosen]
        ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return np.repeat(self.ptr[chosen] - ptr[:-1], sizes) + np.arange(ptr[-1]), ptr

    def take(self, indices: ArrayLike) -> EventPack:
        """Pack of the chosen samples, in the given order, repeats allowed."""
        chosen = np.asarray(indices, dtype=np.int64)
        at, ptr = self.events_of(chosen)
        return replace(
            self,
            ptr=ptr,
            step=self.step[at],
            channel=self.channel[at],
            count=self.count[at],
            label=self.label[chosen],
            speaker=None if self.speaker is None else self.speaker[chosen],
        )

    def dense(self, indices: ArrayLike | None = None) -> NDArray[np.uint8]:
        """Counts uint8 [b, steps, channels] of the chosen samples (all by default)."""
        chosen = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.int64)
        at, ptr = self.events_of(chosen)
        result = np.zeros((chosen.size, self.steps, self.channels), dtype=np.uint8)
        result[np.repeat(np.arange(chosen.size), np.diff(ptr)), self.step[at], self.channel[at]] = self.count[at]
        return result

    def channel_counts(self) -> NDArray[np.int64]:
        """Spikes per sample and channel over the whole time, int64 [n, channels]."""
        cell = self.owner * self.channels + self.channel
        flat = np.bincount(cell, weights=self.count, minlength=len(self) * self.channels)
        return flat.astype(np.int64).reshape(len(self), self.channels)

    @property
    def owner(self) -> NDArray[np.int64]:
        """Sample of each event, int64 [E]."""
        return np.repeat(np.arange(len(self)), np.diff(self.ptr))

    def rebin(self, factor: int) -> EventPack:
        """Sums of `factor` adjacent steps; the last step holds the rest. Raises DataError if a sum exceeds 255."""
        if factor < 1:
            raise DataError(f"cannot sum {factor} adjacent steps, at least 1")
        return EventPack.from_events(
            self.owner,
            self.step // factor,
            self.channel,
            self.count,
            steps=-(-self.steps // factor),
            channels=self.channels,
            label=self.label,
            speaker=self.speaker,
            step_s=None if self.step_s is None else self.step_s * factor,
        )

    def channel_stride(self, stride: int, phase: int) -> EventPack:
        """Every `stride`-th channel from `phase` on, renumbered 0 .. ceil(channels / stride) - 1 (the last may stay silent)."""
        if not 0 <= phase < stride:
            raise DataError(f"phase {phase} of a channel stride {stride} is outside 0 .. {stride - 1}")
        keep = self.channel % stride == phase
        return replace(
            self,
            ptr=np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)[self.ptr],
            step=self.step[keep],
            channel=self.channel[keep] // stride,
            count=self.count[keep],
            channels=-(-self.channels // stride),
        )

    def fold_channels(self, stride: int) -> tuple[EventPack, NDArray[np.int64]]:
        """All phases of `channel_stride` as samples of their own, phases of one utterance adjacent, and each sample's utterance.

        The channel reduction of the reference code of routing-aware training (repository EIS-Hub/routing-aware_training, data_utils).
        Its copies are not independent samples: make the splits first, and score with `utterance_scores`.
        """
        phases = [self.channel_stride(stride, phase) for phase in range(stride)]
        utterance = np.repeat(np.arange(len(self)), stride)
        order = np.arange(len(self) * stride).reshape(stride, len(self)).T.ravel()
        return concatenate(phases).take(order), utterance

    def _problems(self) -> list[str]:
        wanted = {"ptr": "i8", "step": "u2", "channel": "u2", "count": "u1", "label": "i4"}
        if self.speaker is not None:
            wanted["speaker"] = "i4"
        found = [
            f"{name} is {array.dtype} with {array.ndim} axes, not {np.dtype(dtype)} with one"
            for name, dtype in wanted.items()
            if (array := getattr(self, name)).dtype != dtype or array.ndim != 1
        ]
        if found:
            return found
        if not (1 <= self.steps <= 1 << 16 and 1 <= self.channels <= 1 << 16):
            found.append(f"{self.steps} steps and {self.channels} channels, each must be 1 .. 65536")
        if len(self.ptr) != len(self.label) + 1 or self.ptr[0] != 0 or self.ptr[-1] != len(self.step):
            found.append(f"ptr must be {len(self.label) + 1} long, from 0 to {len(self.step)}")
        if not len(self.step) == len(self.channel) == len(self.count):
            found.append(
                f"{len(self.step)} steps, {len(self.channel)} channels, {len(self.count)} counts: lengths differ"
            )
        if self.speaker is not None and len(self.speaker) != len(self.label):
            found.append(f"{len(self.speaker)} speakers for {len(self.label)} samples")
        return found


def _summed(
    ptr: NDArray[np.int64],
    step: NDArray[np.integer],
    channel: NDArray[np.integer],
    count: NDArray[np.integer],
    steps: int,
    channels: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Occupied cells (sample * steps + step) * channels + channel, ascending, and their summed counts; in chunks of samples."""
    cells: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    sums: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    first = 0
    while first < len(ptr) - 1:
        last = max(first + 1, int(np.searchsorted(ptr, ptr[first] + _SORT_CHUNK, side="right")) - 1)
        part = slice(ptr[first], ptr[last])
        owner = np.repeat(np.arange(first, last), np.diff(ptr[first : last + 1]))
        cell = (owner * steps + step[part].astype(np.int64)) * channels + channel[part]
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        starts = np.flatnonzero(np.diff(cell, prepend=-1))
        if starts.size:
            cells.append(cell[starts])
            sums.append(np.add.reduceat(count[part].astype(np.int64)[order], starts))
        first = last
    return np.concatenate(cells), np.concatenate(sums)


def concatenate(packs: list[EventPack]) -> EventPack:
    """One pack of the samples of all; steps, channels and step length must agree."""
    shapes = {(pack.steps, pack.channels, pack.step_s) for pack in packs}
    if len(shapes) != 1:
        raise DataError(
            f"packs of different (steps, channels, step length) cannot be joined: {sorted(map(str, shapes))}"
        )
    offsets = np.cumsum([0] + [len(pack.step) for pack in packs])
    speakers = [pack.speaker for pack in packs if pack.speaker is not None]
    return replace(
        packs[0],
        ptr=np.concatenate([[0], *(p.ptr[1:] + o for p, o in zip(packs, offsets, strict=False))]).astype(np.int64),
        step=np.concatenate([pack.step for pack in packs]),
        channel=np.concatenate([pack.channel for pack in packs]),
        count=np.concatenate([pack.count for pack in packs]),
        label=np.concatenate([pack.label for pack in packs]),
        speaker=np.concatenate(speakers) if len(speakers) == len(packs) else None,
    )


def utterance_scores(scores: NDArray[np.floating], utterance: NDArray[np.integer]) -> NDArray[np.float64]:
    """Class scores [samples, classes] summed over the samples of each utterance, [utterances, classes]."""
    result = np.zeros((int(utterance.max(initial=-1)) + 1, scores.shape[1]))
    np.add.at(result, utterance, scores)
    return result


@dataclass(frozen=True, eq=False)
class SpikeData:
    """A data set: one EventPack per split. Make it with `spike_data`, which checks it and computes the digest.

    kind: 'real' (published recordings), 'recorded' (the user's own) or 'synthetic'; digest: sha256 of the content, the same however it was
    loaded. `classes[label]` is the name of a class.
    """

    name: str
    kind: Kind
    digest: str
    classes: tuple[str, ...]
    splits: Mapping[str, EventPack]

    @property
    def steps(self) -> int:
        return self.splits["train"].steps

    @property
    def channels(self) -> int:
        return self.splits["train"].channels

    def rebin(self, factor: int) -> SpikeData:
        """The data set with `factor` adjacent steps summed."""
        packs = {name: pack.rebin(factor) for name, pack in self.splits.items()}
        return spike_data(f"{self.name}/rebin-{factor}", self.kind, self.classes, packs)


def spike_data(name: str, kind: Kind, classes: tuple[str, ...], splits: Mapping[str, EventPack]) -> SpikeData:
    """Checked data set with its digest. Raises DataError that lists every fault."""
    faults = [f"no split '{split}'" for split in SPLITS if split not in splits]
    faults += [f"unknown split '{split}'" for split in splits if split not in SPLITS]
    shapes = {(pack.steps, pack.channels) for pack in splits.values()}
    if len(shapes) > 1:
        faults.append(f"splits of different (steps, channels): {sorted(shapes)}")
    if len(set(classes)) != len(classes) or not classes:
        faults.append(f"{len(classes)} class names, {len(set(classes))} different ones")
    for split, pack in splits.items():
        if len(pack) and not 0 <= pack.label.min() <= pack.label.max() < len(classes):
            faults.append(f"{split}: labels {pack.label.min()} .. {pack.label.max()} outside 0 .. {len(classes) - 1}")
    if kind not in ("real", "recorded", "synthetic"):
        faults.append(f"kind '{kind}' is none of real, recorded, synthetic")
    if faults:
        raise DataError(f"data set '{name}': " + "; ".join(faults))
    ordered = {split: splits[split] for split in SPLITS}
    return SpikeData(name, kind, _digest(classes, ordered), classes, ordered)


def _digest(classes: tuple[str, ...], splits: Mapping[str, EventPack]) -> str:
    """sha256 over class names, shapes and little-endian arrays; name, kind and step length do not enter."""
    digest = hashlib.sha256(b"tilewire spikes 1\0")

    def enter(name: str, content: Any) -> None:
        data = bytes(content)
        digest.update(f"{name} {len(data)}\0".encode())
        digest.update(data)

    enter("classes", "\0".join(classes).encode())
    for split, pack in splits.items():
        enter(f"{split} shape", f"{len(pack)} {pack.steps} {pack.channels}".encode())
        for name in ("ptr", "step", "channel", "count", "label", "speaker"):
            array = getattr(pack, name)
            if array is not None:
                enter(f"{split} {name}", np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()
