"""Mini-speech: synthetic spoken digits, English and German, as cochlea spikes; and ordered pairs of them.

20 classes (zero .. nine, null .. neun), 140 channels, 100 steps of 10 ms, voices disjoint between the three splits. Spoken by espeak-ng,
passed through `tilewire.data.cochlea` by scripts/make_mini_speech.py, and pinned by digest. A stand-in shaped after the Spiking Heidelberg
Digits (arXiv:1910.07407); results on it are not results on that set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tilewire.data.record import EventPack, SpikeData, concatenate, spike_data
from tilewire.data.storage import read_npz
from tilewire.errors import DataError


@dataclass(frozen=True)
class Pinned:
    """A generated file: its content's sha256 and the program that spoke it."""

    file: str
    digest: str
    made_with: str


SPOKEN_BY = "eSpeak NG 1.51 (Debian 1.51+dfsg-10+deb12u2)"
MINI = Pinned("mini_speech.npz", "b9dd9dc00d4b05d5a8c0898d3ad59dd1befcd62338223dafd284b4ee4191b870", SPOKEN_BY)
LARGE = Pinned("mini_speech_large.npz", "ebb76c5dafa332fd7dcb0cf2771e4752a273f321530a27b67d75ac9d156a0e48", SPOKEN_BY)
GENERATOR = "python scripts/make_mini_speech.py"


def load_mini(root: Path, *, download: str, seed: int) -> SpikeData:
    """The bundled set: 2,000 / 500 / 500 samples."""
    return _pinned("mini-speech", MINI, Path(__file__).with_name(MINI.file))


def load_large(root: Path, *, download: str, seed: int) -> SpikeData:
    """8,000 / 2,000 / 2,000 samples of the same voices split the same way; lives in `root` or in the folder data/ of a source checkout."""
    for folder in large_folders(root):
        if (folder / LARGE.file).is_file():
            return _pinned("mini-speech-large", LARGE, folder / LARGE.file)
    raise DataError(
        f"'{LARGE.file}' is not part of the installed package",
        where=str(root),
        hint=f"copy data/{LARGE.file} of a source checkout there, or make one there with '{GENERATOR} mini-speech-large' "
        "(needs espeak-ng); or use 'mini-speech'",
    )


def large_folders(root: Path) -> tuple[Path, Path]:
    """Where the larger set is looked for."""
    return root, Path(__file__).parents[3] / "data"


def _pinned(name: str, pinned: Pinned, path: Path) -> SpikeData:
    data = read_npz(path, name)
    if data.digest != pinned.digest:
        raise DataError(
            f"'{name}' is not the published one: sha256 {data.digest} instead of {pinned.digest}",
            where=str(path),
            hint="restore the file; to use your own version, load it by its path instead of its name",
        )
    return data


def load_pairs(
    root: Path,
    *,
    download: str,
    seed: int,
    source: str = "mini-speech",
    words: Sequence[int] = (1, 2, 3, 4, 5),
    window: int = 80,
) -> SpikeData:
    """Ordered pairs made from 'mini-speech' or 'mini-speech-large', as many samples per split as that has; see `ordered_pairs`."""
    sources = {"mini-speech": load_mini, "mini-speech-large": load_large}
    if source not in sources:
        raise DataError(f"pairs are made from {' or '.join(sources)}, not '{source}'")
    data = sources[source](root, download=download, seed=seed)
    return ordered_pairs(data, words, window=window, rng=np.random.default_rng(seed))


def ordered_pairs(data: SpikeData, words: Sequence[int], *, window: int, rng: np.random.Generator) -> SpikeData:
    """Two different words in a row; the class is which pair, in which order: k (k - 1) classes of k words, equally frequent.

    Each word is the first `window` steps of a sample of that class, so a sample has 2 * window steps. Spike counts are the same whichever
    word comes first, hence a reader of counts alone is right in at most half of the cases: what exceeds 50 % has used time. Both words of
    a pair come from the same split, so voices stay in theirs; the two voices of a pair are drawn independently. Samples of a split share
    their words (each word occurs in many pairs): they are not independent draws.
    """
    chosen = tuple(words)
    if len(set(chosen)) != len(chosen) or len(chosen) < 2 or not all(0 <= word < len(data.classes) for word in chosen):
        raise DataError(f"words {chosen} must be at least two different classes of 0 .. {len(data.classes) - 1}")
    if not 1 <= window <= data.steps:
        raise DataError(f"a window of {window} steps does not fit into samples of {data.steps} steps")
    orders = [(a, b) for a in chosen for b in chosen if a != b]
    classes = tuple(f"{data.classes[a]} {data.classes[b]}" for a, b in orders)
    packs = {split: _pairs(pack, orders, window, rng) for split, pack in data.splits.items()}
    return spike_data(f"{data.name}-pairs", data.kind, classes, packs)


def _pairs(pack: EventPack, orders: list[tuple[int, int]], window: int, rng: np.random.Generator) -> EventPack:
    """len(pack) pairs in random order, class frequencies equal to within one."""
    label = rng.permutation(np.arange(len(pack)) % len(orders))
    first, second = np.empty((2, len(pack)), dtype=np.int64)
    for target, side in ((first, 0), (second, 1)):
        word = np.array(orders)[label, side]
        for value in np.unique(word):
            pool = np.flatnonzero(pack.label == value)
            if not pool.size:
                raise DataError(f"a split has no sample of class {value} to make pairs of")
            wanted = np.flatnonzero(word == value)
            target[wanted] = pool[rng.integers(pool.size, size=wanted.size)]
    early, late = (_window(pack.take(side), window) for side in (first, second))
    late = replace(late, step=(late.step + np.uint16(window)).astype(np.uint16))
    both = concatenate([replace(early, steps=2 * window), replace(late, steps=2 * window)])
    order = np.arange(2 * len(pack)).reshape(2, len(pack)).T.ravel()
    joined = both.take(order)  # first and second words alternate
    return replace(joined, ptr=joined.ptr[::2], label=label.astype(np.int32), speaker=None)


def _window(pack: EventPack, steps: int) -> EventPack:
    """The first steps of every sample."""
    keep: NDArray[np.bool_] = pack.step < steps
    return replace(
        pack,
        ptr=np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)[pack.ptr],
        step=pack.step[keep],
        channel=pack.channel[keep],
        count=pack.count[keep],
        steps=steps,
    )
