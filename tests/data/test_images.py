"""Labelled images from IDX and npz files."""

from __future__ import annotations

import gzip
import hashlib
import struct

import numpy as np
import pytest

from tilewire.data.images import SETS, IdxSet, load_images, parse_idx, read_idx
from tilewire.errors import DataError


def idx(array, kind=0x08):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "fashion-mnist").mkdir()
    for part, n in (("train", 7), ("t10k", 4)):
        images = rng.integers(0, 256, (n, 6, 5), np.uint8)
        (tmp_path / "fashion-mnist" / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / "fashion-mnist" / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(n, dtype=np.uint8) % 3))
    return tmp_path


def test_four_files_raw_or_packed(folder, monkeypatch):
    data = load_images("fashion-mnist", folder)
    assert (len(data.train), len(data.test), data.shape, data.classes) == (7, 4, (6, 5), 3)
    vectors = data.train.vectors()
    assert vectors.shape == (7, 30)
    assert 0 <= vectors.min() <= vectors.max() <= 1
    monkeypatch.setenv("TILEWIRE_DATA", str(folder))
    assert np.array_equal(load_images("fashion-mnist").test.images, data.test.images)
    assert np.array_equal(load_images("fashion-mnist", folder / "fashion-mnist").test.images, data.test.images)


def test_checksums(folder, monkeypatch):
    with pytest.raises(DataError, match="missing train-images"):
        load_images("mnist", folder)
    for path in (folder / "fashion-mnist").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="wrong checksum"):
        load_images("mnist", folder)
    content = (folder / "train-labels-idx1-ubyte").read_bytes()
    own = {"train-labels-idx1-ubyte": hashlib.md5(content, usedforsecurity=False).hexdigest()}
    monkeypatch.setitem(SETS, "mnist", IdxSet("mnist", own))
    assert len(load_images("mnist", folder).train) == 7


def test_missing(folder, monkeypatch):
    monkeypatch.delenv("TILEWIRE_DATA", raising=False)
    with pytest.raises(DataError, match="no folder of data sets"):
        load_images("mnist")
    with pytest.raises(DataError, match="did you mean 'mnist'"):
        load_images("mnits", folder)


@pytest.mark.parametrize("kind", [">u1", ">i1", ">i2", ">i4", ">f4", ">f8"])
def test_all_types(kind):
    codes = {">u1": 8, ">i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
    array = np.arange(12).reshape(2, 3, 2).astype(kind)
    assert np.array_equal(parse_idx(idx(array, codes[kind]), "x"), array)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0", b"\0\0\x07\1\0\0\0\1x", b"\1\0\x08\1\0\0\0\1x", b"\0\0\x08\0", b"\0\0\x08\3\0\0", b"\0\0\x08\1\0\0\0\2x",
     b"\0\0\x08\1\0\0\0\1xy", b"\0\0\x08\3" + b"\xff" * 12, b"\x1f\x8bbroken"],
)  # fmt: skip
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match="file"):
        read_idx(path)


def test_npz(tmp_path):
    good = {
        "train_images": np.zeros((3, 8, 8)),
        "train_labels": np.arange(3),
        "test_images": np.ones((2, 8, 8)),
        "test_labels": np.arange(2),
    }
    path = tmp_path / "digits.npz"
    np.savez(path, **good)
    data = load_images(str(path))
    assert (data.name, data.classes, len(data.test)) == ("digits", 3, 2)
    for wrong, text in (
        ({"train_labels": np.arange(4)}, "3 images but 4 labels"),
        ({"train_labels": np.array([0, -1, 2])}, "labels -1"),
        ({"train_images": np.full((3, 8, 8), np.nan)}, "not finite"),
        ({"test_images": np.ones((2, 4, 4))}, "images of"),
        ({"train_labels": np.array([None, None, None])}, "cannot be read"),
    ):
        np.savez(path, **(good | wrong))
        with pytest.raises(DataError, match=text):
            load_images(str(path))
    np.savez(path, train_images=good["train_images"])
    with pytest.raises(DataError, match="lacks train_labels"):
        load_images(str(path))
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read"):
        load_images(str(path))
