"""A folder of WAV files becomes a data set of cochlea spikes."""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tilewire.data.record import SPLITS, EventPack, SpikeData, spike_data
from tilewire.errors import DataError

LARGEST_FILE = 1 << 28
_MOST_FAULTS = 20
_READ_FAULTS = (
    ValueError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    MemoryError,
    ArithmeticError,
    UnboundLocalError,
    struct.error,
)


@dataclass(frozen=True)
class Clip:
    """One WAV file with its label and, if known, who speaks."""

    path: Path
    word: str
    speaker: str | None

    @property
    def unit(self) -> str:
        """What a split must not divide: the speaker if known, else the file."""
        return str(self.path) if self.speaker is None else self.speaker


def read_wave(path: Path) -> tuple[int, NDArray[np.float64]]:
    """Samples per second and the mono wave, float64 [n], channels averaged; 8, 16, 24, 32-bit and float files, full scale = 1."""
    from scipy.io import wavfile

    if path.stat().st_size > LARGEST_FILE:
        raise DataError(f"{path.stat().st_size} bytes, at most {LARGEST_FILE}", where=str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that are not sound are of no interest
            rate, samples = wavfile.read(io.BytesIO(path.read_bytes()))
    except _READ_FAULTS as error:
        raise DataError(f"not a readable WAV file ({type(error).__name__}: {error})", where=str(path)) from error
    wave = np.asarray(samples, dtype=np.float64)
    if samples.dtype.kind == "u":
        wave = wave - 128.0
    if samples.dtype.kind in "iu":
        wave = wave / 2.0 ** (8 * samples.dtype.itemsize - 1)
    if wave.ndim == 2:
        wave = wave.mean(axis=1)
    if wave.ndim != 1 or not wave.size or not np.all(np.isfinite(wave)):
        raise DataError("holds no samples, or samples that are not finite numbers", where=str(path))
    return int(rate), wave


def encode_folder(
    folder: Path,
    channels: int,
    steps: int,
    step_s: float,
    rng: np.random.Generator,
    *,
    speaker_pattern: str | None = None,
    held_out: tuple[float, float] = (0.15, 0.15),
) -> SpikeData:
    """Spikes of every .wav below `folder`: label = sub-folder name, or train|validation|test/label if those three folders exist.

    speaker_pattern: regular expression whose first group, found in the file name, is the speaker. Without given splits, `held_out` shares
    (validation, test) are drawn by `rng`: whole speakers if known, else files of each label. Files are read in sorted order and each gets
    its own stream of `rng`. Raises DataError naming every unreadable file (the first 20).
    """
    from tilewire.data.cochlea import encode

    given = find_clips(folder, speaker_pattern)
    clips = [clip for part in given.values() for clip in part]
    classes = tuple(sorted({clip.word for clip in clips}))
    speakers = sorted({clip.speaker for clip in clips if clip.speaker is not None})
    parts = given if "train" in given else _split(clips, held_out, rng)
    faults: list[str] = []
    packs = {}
    for split in SPLITS:
        rows = np.zeros((len(parts[split]), steps, channels), dtype=np.uint8)
        for row, clip, stream in zip(rows, parts[split], rng.spawn(len(rows)), strict=True):
            try:
                rate, wave = read_wave(clip.path)
                row[:] = encode(wave, rate, channels=channels, steps=steps, step_s=step_s, rng=stream)
            except DataError as error:
                faults.append(f"{clip.path.relative_to(folder)}: {error.message}")
        known = [speakers.index(clip.speaker) for clip in parts[split] if clip.speaker is not None]
        packs[split] = EventPack.from_dense(
            rows, [classes.index(clip.word) for clip in parts[split]], known if speakers else None, step_s
        )
    if faults:
        more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        raise DataError(
            f"{len(faults)} files cannot be encoded: " + "; ".join(faults[:_MOST_FAULTS]) + more, where=str(folder)
        )
    return spike_data(folder.resolve().name, "recorded", classes, packs)


def find_clips(folder: Path, speaker_pattern: str | None = None) -> dict[str, list[Clip]]:
    """Clips by split ('' if the folder states none), each list in sorted order."""
    try:
        pattern = re.compile(speaker_pattern) if speaker_pattern else None
    except re.error as error:
        raise DataError(f"speaker pattern '{speaker_pattern}' is not a regular expression: {error}") from error
    if pattern is not None and pattern.groups < 1:
        raise DataError(f"speaker pattern '{speaker_pattern}' has no group ( ) that is the speaker")
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder))
    roots = {split: folder / split for split in SPLITS}
    if not all(root.is_dir() for root in roots.values()):
        roots = {"": folder}
    found: dict[str, list[Clip]] = {}
    for split, root in roots.items():
        paths = sorted(path for path in root.glob("*/*") if path.suffix.lower() == ".wav" and path.is_file())
        matches = [pattern.search(path.stem) if pattern else None for path in paths]
        unnamed = [
            path.name
            for path, match in zip(paths, matches, strict=True)
            if pattern and (match is None or match[1] is None)
        ]
        if unnamed:
            raise DataError(f"no speaker in {len(unnamed)} file names, such as '{unnamed[0]}'", where=str(root))
        if not paths:
            raise DataError(
                "no LABEL/*.wav files", where=str(root), hint="put the files of each label into a folder of that name"
            )
        found[split] = [
            Clip(path, path.parent.name, match[1] if match else None)
            for path, match in zip(paths, matches, strict=True)
        ]
    return found


def _split(clips: list[Clip], held_out: tuple[float, float], rng: np.random.Generator) -> dict[str, list[Clip]]:
    """Train, validation and test clips; at least one speaker (or file of each label) in each."""
    if not (min(held_out) > 0 and sum(held_out) < 1):
        raise DataError(f"held-out shares {held_out} must be positive and sum to less than 1")
    groups: dict[str, list[str]] = {}
    for clip in clips:
        group = groups.setdefault("speakers" if clip.speaker is not None else f"files of '{clip.word}'", [])
        if clip.unit not in group:
            group.append(clip.unit)
    place: dict[str, int] = {}
    for kind, units in groups.items():
        if len(units) < 3:
            raise DataError(
                f"only {len(units)} {kind}, three are needed to split train, validation and test",
                hint="add files, or make the folders train, validation and test yourself",
            )
        sizes = [max(1, round(share * len(units))) for share in held_out]
        bounds = np.cumsum(sizes) if sum(sizes) < len(units) else np.array([1, 2])
        for position, unit in enumerate(rng.permutation(len(units))):
            place[units[unit]] = int(np.searchsorted(bounds, position, side="right"))
    names = ("validation", "test", "train")
    return {name: [clip for clip in clips if place[clip.unit] == i] for i, name in enumerate(names)}
