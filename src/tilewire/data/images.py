"""Labelled images from files on disk: IDX (MNIST, Fashion-MNIST; raw or .gz) and `.npz`; files are read as if hostile."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import DataError, unknown

MOST_BYTES = 1 << 30  # content of one file after decompression
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PARTS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""md5 of the unpacked MNIST files."""


@dataclass(frozen=True)
class IdxSet:
    """An image set in four IDX files: its folder below the data root, and the md5 of the unpacked files where they are known."""

    folder: str
    md5: dict[str, str]


SETS: dict[str, IdxSet] = {"mnist": IdxSet("mnist", MNIST_MD5), "fashion-mnist": IdxSet("fashion-mnist", {})}


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Images [n, rows, columns] of any number type, and their labels int64 [n] from 0."""

    images: NDArray[Any]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def vectors(self, scale: float | None = None) -> NDArray[np.float32]:
        """Rows float32 [n, rows * columns], divided by ``scale`` (default: the largest value of the type, or of floats, of the images)."""
        if scale is None:
            whole = self.images.dtype.kind in "iu"
            scale = float(np.iinfo(self.images.dtype).max if whole else self.images.max(initial=0)) or 1.0
        return (self.images.reshape(len(self), math.prod(self.images.shape[1:])) / scale).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ImageData:
    """A named set of labelled images."""

    name: str
    train: ImageSplit
    test: ImageSplit

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns of an image."""
        return tuple(self.train.images.shape[1:])

    @property
    def classes(self) -> int:
        """Number of classes, the largest label of both splits plus one."""
        return int(max(self.train.labels.max(initial=-1), self.test.labels.max(initial=-1))) + 1


def data_root(root: str | Path | None = None) -> Path:
    """The folder of data sets: ``root``, else the environment variable TILEWIRE_DATA. Raises `DataError` if neither names one."""
    named = root or os.environ.get("TILEWIRE_DATA")
    if not named:
        raise DataError("no folder of data sets", hint="set TILEWIRE_DATA or hand in a path")
    return Path(named)


def load_images(name: str, root: str | Path | None = None) -> ImageData:
    """A set of `SETS` by name, or the path of an `.npz`. The four IDX files, raw or .gz, lie in the root or in its folder of that name.

    Raises `DataError` for unknown names, missing files (all of them named), damaged ones, and a wrong checksum where one is known.
    """
    if name.endswith(".npz"):
        return read_image_npz(Path(name))
    if name not in SETS:
        raise DataError(unknown("image set", name, SETS), hint="or the path of an .npz file")
    one, base = SETS[name], data_root(root)
    folders = (base / one.folder, base)
    found = {part: _find(part, folders) for parts in _PARTS.values() for part in parts}
    missing = [part for part, path in found.items() if path is None]
    if missing:
        raise DataError(
            f"{name}: missing {', '.join(missing)} (raw or .gz)",
            where=str(folders[0]),
            hint="put the four IDX files there",
        )
    splits = [
        _split(name, *(_content(path, one.md5.get(part)) for part in parts if (path := found[part])))
        for parts in _PARTS.values()
    ]
    if splits[0].images.shape[1:] != splits[1].images.shape[1:]:
        raise DataError(
            f"{name}: images of {splits[0].images.shape[1:]} and {splits[1].images.shape[1:]}", where=str(folders[0])
        )
    return ImageData(name, *splits)


def _find(part: str, folders: tuple[Path, ...]) -> Path | None:
    names = (part, f"{part}.gz", part.replace("-idx", ".idx"))
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def _content(path: Path, md5: str | None) -> NDArray[Any]:
    content = _unpacked(path)
    if md5 and (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != md5:
        raise DataError(f"wrong checksum: md5 {found} instead of {md5}", where=str(path), hint="fetch the file again")
    return parse_idx(content, str(path))


def _unpacked(path: Path) -> bytes:
    """Bytes of a file, decompressed if it starts as gzip. Raises `DataError` when unreadable, damaged or larger than `MOST_BYTES`."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", where=str(path)) from error
    if len(content) > MOST_BYTES:
        raise DataError(f"more than {MOST_BYTES} bytes", where=str(path))
    return content


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an IDX file, raw or .gz. Raises `DataError` for anything else."""
    return parse_idx(_unpacked(path), str(path))


def parse_idx(content: bytes, where: str) -> NDArray[Any]:
    """IDX: two zero bytes, a type, the number of dimensions d, d sizes as big-endian uint32, then the values, big-endian, row by row."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES or not 1 <= content[3] <= 8:
        raise DataError("no IDX file: it does not start with 0, 0, a type and 1 to 8 dimensions", where=where)
    dtype, dimensions = np.dtype(_IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"breaks off in its header after {len(content)} of {start} bytes", where=where)
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    need = start + math.prod(shape) * dtype.itemsize
    if need != len(content):
        raise DataError(f"{len(content)} bytes, its header {list(shape)} asks for {need}", where=where)
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _split(where: str, images: NDArray[Any], labels: NDArray[Any]) -> ImageSplit:
    """Raises `DataError` unless the arrays belong together."""
    faults = []
    if images.ndim != 3 or images.dtype.kind not in "uif" or not images.size:
        faults.append(f"images are {images.dtype} {list(images.shape)}, not numbers [n, rows, columns]")
    elif images.dtype.kind == "f" and not np.isfinite(images).all():
        faults.append("images hold values that are not finite")
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        faults.append(f"labels are {labels.dtype} {list(labels.shape)}, not integers [n]")
    elif labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < 1 << 16:
        faults.append(f"labels {labels.min()}..{labels.max()}, limits 0..65535")
    if not faults and len(images) != len(labels):
        faults.append(f"{len(images)} images but {len(labels)} labels")
    if faults:
        raise DataError("; ".join(faults), where=where)
    return ImageSplit(images, labels.astype(np.int64))


def read_image_npz(path: Path) -> ImageData:
    """An `.npz` without pickle: `train_images` and `test_images` [n, rows, columns], `train_labels` and `test_labels` [n].

    Raises `DataError` that names missing keys, for pickled or oversized content and arrays that do not belong together.
    """
    keys = [f"{split}_{part}" for split in _PARTS for part in ("images", "labels")]
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise DataError(f"{size} bytes of content, limit {MOST_BYTES}", where=str(path))
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in keys if key not in archive.files]
            if missing:
                raise DataError(f"lacks {', '.join(missing)}", where=str(path), hint=f"an .npz with {', '.join(keys)}")
            arrays = [archive[key] for key in keys]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"cannot be read: {error}", where=str(path), hint="an .npz without pickled objects") from error
    where = str(path)
    train, test = _split(where, arrays[0], arrays[1]), _split(where, arrays[2], arrays[3])
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(f"images of {train.images.shape[1:]} and {test.images.shape[1:]}", where=where)
    return ImageData(path.stem, train, test)
