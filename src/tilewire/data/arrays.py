"""Labelled rows of numbers for feed-forward networks: images as vectors, spike counts in coarse time bins; one record, three splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tilewire.data.images import SETS, ImageData, ImageSplit, load_images
from tilewire.data.record import SPLITS, EventPack
from tilewire.errors import DataError
from tilewire.streams import stream

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ArrayData:
    """Per split (train, validation, test) features float32 [n, width] and labels int64 [n] below ``classes``."""

    name: str
    kind: str
    classes: int
    splits: Mapping[str, tuple[Features, Labels]]

    def __post_init__(self) -> None:
        """Raises `DataError` unless the three splits are there, not empty, and belong together."""
        faults = [f"no split {name}" for name in SPLITS if name not in self.splits]
        for name, (x, y) in self.splits.items():
            if x.ndim != 2 or len(x) != len(y) or not len(x):
                faults.append(f"{name}: features {list(x.shape)}, labels {list(y.shape)}")
            elif not np.isfinite(x).all() or y.min() < 0 or y.max() >= self.classes:
                faults.append(f"{name}: features that are not finite, or labels outside 0..{self.classes - 1}")
        if len({x.shape[-1] for x, _ in self.splits.values()}) > 1:
            faults.append("the splits differ in width")
        if faults:
            raise DataError("; ".join(faults), where=self.name)

    @property
    def width(self) -> int:
        """Features of a sample."""
        return int(self.splits["train"][0].shape[1])

    @property
    def digest(self) -> str:
        """sha256 of all features and labels."""
        found = hashlib.sha256()
        for name in SPLITS:
            for array in self.splits[name]:
                found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def standardised(self) -> ArrayData:
        """Every feature less its training mean, all divided by one number: the mean training variance of a feature is then 1.

        One divisor for all keeps features that hardly vary small. What is constant in the training split is set to 0.
        """
        train = self.splits["train"][0].astype(np.float64)
        mean, live = train.mean(axis=0), train.std(axis=0) > 0
        scale = float(np.sqrt(((train - mean) ** 2).mean())) or 1.0
        splits = {name: (((x - mean) / scale * live).astype(np.float32), y) for name, (x, y) in self.splits.items()}
        return ArrayData(self.name, self.kind, self.classes, splits)


def load_arrays(
    name: str, root: str | Path | None = None, *, seed: int = 0, bins: int = 4, side: int | None = None, train: int | None = None,
    validation: int | None = None, test: int | None = None,
) -> ArrayData:  # fmt: skip
    """A data set as rows of numbers.

    ``name``: 'digits' (8 x 8 images of scikit-learn, which must be installed), a set of `tilewire.data.images` or an `.npz` of images, or
    whatever `tilewire.data.catalogue.load` takes, whose spikes are counted per channel in ``bins`` equal stretches of time. Image sets
    without a validation split give a sixth of their training split (digits: a third to train, a sixth for validation, half for test),
    drawn by ``seed``. ``side``: images are averaged to that many rows and columns. ``train``, ``validation``, ``test``: at most so many
    samples of a split. Raises `DataError`.
    """
    rng = stream(seed, "split")
    if name in LOADERS:
        data = LOADERS[name](rng)
    elif name in SETS or (name.endswith(".npz") and _holds_images(Path(name))):
        data = _of_images(load_images(name, root), rng, validation, side)
    else:
        data = _of_spikes(name, root, seed, bins)
    most = {"train": train, "validation": validation, "test": test}
    if any(limit is not None and limit < 1 for limit in most.values()):
        raise DataError(f"samples per split {most}", where=name, hint="at least 1")
    splits = {key: _drawn(x, y, most[key], rng) for key, (x, y) in data.splits.items()}
    return ArrayData(data.name, data.kind, data.classes, splits)


def _drawn(x: Features, y: Labels, most: int | None, rng: np.random.Generator) -> tuple[Features, Labels]:
    """At most so many samples, drawn without replacement."""
    if most is None or most >= len(y):
        return x, y
    chosen = rng.permutation(len(y))[:most]
    return x[chosen], y[chosen]


def _digits(rng: np.random.Generator) -> ArrayData:
    """1,797 handwritten digits of 8 x 8 pixels in 17 grey levels (Alpaydin, Kaynak 1998)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(
            "'digits' come with scikit-learn, which is not installed", hint="pip install 'tilewire[data]'"
        ) from error
    bunch = load_digits()
    x, y = (np.asarray(bunch.data) / 16).astype(np.float32), np.asarray(bunch.target, np.int64)
    order = rng.permutation(len(y))
    half, third = len(y) // 2, len(y) // 3
    ends = {"train": order[:third], "validation": order[third:-half], "test": order[-half:]}
    return ArrayData("digits", "real", 10, {name: (x[ends[name]], y[ends[name]]) for name in SPLITS})


LOADERS: dict[str, Callable[[np.random.Generator], ArrayData]] = {"digits": _digits}
"""Name -> loader of the sets that are arrays from the start."""


def _holds_images(path: Path) -> bool:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return "train_images" in archive.files
    except (OSError, ValueError, EOFError):
        return False  # the loader that comes next names the fault


def _of_images(images: ImageData, rng: np.random.Generator, validation: int | None, side: int | None) -> ArrayData:
    x, y = resized(images.train, side), images.train.labels
    order, held = rng.permutation(len(y)), min(validation or len(y) // 6, len(y) - 1)
    splits = {"train": (x[order[held:]], y[order[held:]]), "validation": (x[order[:held]], y[order[:held]])}
    splits["test"] = (resized(images.test, side), images.test.labels)
    return ArrayData(images.name, "real", images.classes, splits)


def resized(split: ImageSplit, side: int | None) -> Features:
    """Images as vectors, float32 [n, side * side]: every new pixel is the mean over its share of the old area. None: as they are.

    Raises `DataError` for sides below 1 or above the images' own.
    """
    x = split.vectors()
    if side is None:
        return x
    sizes = split.images.shape[1:]
    if not 1 <= side <= min(sizes):
        raise DataError(f"side {side} of images {sizes[0]} x {sizes[1]}", hint=f"1 to {min(sizes)}")
    rows, columns = (_area(side, size) for size in sizes)
    small = np.einsum("ar,nrc,bc->nab", rows, x.reshape(-1, *sizes), columns, optimize=True)
    vectors: Features = small.reshape(len(x), side * side).astype(np.float32)
    return vectors


def _area(new: int, old: int) -> Features:
    """Shares [new, old] of the old cells in the new ones, rows sum to 1."""
    edges, cell = np.arange(new + 1) * old / new, np.arange(old)
    overlap = np.minimum(edges[1:, None], cell + 1) - np.maximum(edges[:-1, None], cell)
    shares: Features = (np.clip(overlap, 0, None) * new / old).astype(np.float32)
    return shares


def _of_spikes(name: str, root: str | Path | None, seed: int, bins: int) -> ArrayData:
    from tilewire.data.catalogue import load

    data = load(name, root=root, seed=seed)
    splits = {split: (binned_counts(pack, bins), pack.label.astype(np.int64)) for split, pack in data.splits.items()}
    return ArrayData(data.name, data.kind, len(data.classes), splits)


def binned_counts(pack: EventPack, bins: int) -> Features:
    """sqrt of the spikes per time bin and channel, float32 [n, bins * channels]; bin b holds the steps s with floor(s bins / steps) = b.

    The square root makes the spread of counts even. Raises `DataError` for bins outside 1..steps.
    """
    if not 1 <= bins <= pack.steps:
        raise DataError(f"{bins} time bins of {pack.steps} steps", hint=f"1 to {pack.steps}")
    place = pack.step.astype(np.int64) * bins // pack.steps * pack.channels + pack.channel
    cell = pack.owner * (bins * pack.channels) + place
    counts = np.bincount(cell, pack.count, minlength=len(pack) * bins * pack.channels)
    features: Features = np.sqrt(counts).astype(np.float32).reshape(len(pack), bins * pack.channels)
    return features
