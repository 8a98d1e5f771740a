"""Data as rows of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tilewire.data.arrays import ArrayData, binned_counts, load_arrays, resized
from tilewire.data.catalogue import load
from tilewire.data.images import ImageSplit
from tilewire.errors import DataError


def images(path, n=60, side=6):
    rng = np.random.default_rng(0)
    made = {f"{split}_images": rng.integers(0, 256, (n, side, side), np.uint8) for split in ("train", "test")}
    made |= {f"{split}_labels": rng.integers(0, 3, n) for split in ("train", "test")}
    np.savez(path, **made)
    return made


def test_images_get_a_validation_split_of_their_own(tmp_path):
    made = images(tmp_path / "set.npz")
    data = load_arrays(str(tmp_path / "set.npz"), validation=20, train=30, test=50)
    assert {name: len(y) for name, (_, y) in data.splits.items()} == {"train": 30, "validation": 20, "test": 50}
    assert (data.width, data.classes) == (36, 3)
    seen = np.concatenate([data.splits["train"][0], data.splits["validation"][0]])
    pool = {row.tobytes() for row in (made["train_images"].reshape(60, 36) / 255).astype(np.float32)}
    assert len({row.tobytes() for row in seen}) == 50
    assert all(row.tobytes() in pool for row in seen)
    again = load_arrays(str(tmp_path / "set.npz"), validation=20, train=30, test=50)
    assert again.digest == data.digest
    assert load_arrays(str(tmp_path / "set.npz"), validation=20, train=30, test=50, seed=1).digest != data.digest


def test_standardised_by_the_training_split(tmp_path):
    images(tmp_path / "set.npz")
    data = load_arrays(str(tmp_path / "set.npz")).standardised()
    x = data.splits["train"][0]
    assert x.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert x.var(axis=0).mean() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("old", "new"), [(6, 3), (7, 5), (5, 5), (9, 1)])
def test_resized_keeps_the_mean(old, new):
    x = np.random.default_rng(0).random((4, old, old)).astype(np.float32)
    small = resized(ImageSplit(x, np.zeros(4, np.int64)), new)
    assert small.shape == (4, new * new)
    assert small.mean(axis=1) * x.max() == pytest.approx(x.reshape(4, -1).mean(axis=1), rel=1e-4)
    if old == 2 * new:
        means = x.reshape(4, new, 2, new, 2).mean(axis=(2, 4)).reshape(4, -1)
        assert small * x.max() == pytest.approx(means, rel=1e-4)


@pytest.mark.parametrize("bins", [1, 3, 4])
def test_binned_counts(bins):
    pack = load("mini-speech").splits["test"].take(np.arange(5))
    dense = pack.dense().astype(float)
    steps = np.arange(pack.steps) * bins // pack.steps
    slow = np.stack([dense[:, steps == b].sum(axis=1) for b in range(bins)], axis=1)
    assert binned_counts(pack, bins) ** 2 == pytest.approx(slow.reshape(5, -1), rel=1e-5)


def test_refusals(tmp_path):
    images(tmp_path / "set.npz")
    with pytest.raises(DataError, match="time bins"):
        load_arrays("mini-speech", bins=0)
    with pytest.raises(DataError, match="side 7"):
        load_arrays(str(tmp_path / "set.npz"), side=7)
    with pytest.raises(DataError, match="samples per split"):
        load_arrays(str(tmp_path / "set.npz"), train=0)
    with pytest.raises(DataError, match="unknown data set"):
        load_arrays("mnits")
    x, y = np.zeros((2, 3), np.float32), np.zeros(2, np.int64)
    with pytest.raises(DataError, match="no split validation; no split test"):
        ArrayData("a", "real", 2, {"train": (x, y)})
    with pytest.raises(DataError, match="differ in width"):
        ArrayData("a", "real", 2, {"train": (x, y), "validation": (x[:, :2], y), "test": (x, y)})
    with pytest.raises(DataError, match=r"outside 0\.\.1"):
        ArrayData("a", "real", 2, {"train": (x, y + 2), "validation": (x, y), "test": (x, y)})


def test_digits_come_with_scikit_learn():
    pytest.importorskip("sklearn")
    data = load_arrays("digits")
    assert {name: len(y) for name, (_, y) in data.splits.items()} == {"train": 599, "validation": 300, "test": 898}
    assert (data.width, data.classes) == (64, 10)
