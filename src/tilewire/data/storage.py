"""Our own file of spikes: an `.npz` without pickle, read as if its author were hostile.

Keys (arrays written by `numpy.savez_compressed` will do; integer arrays may have any integer type that holds their values):

| key | content |
|---|---|
| `format` | text `tilewire-spikes-1` |
| `classes` | text [classes], the name of each label |
| `steps`, `channels` | integers |
| `step_s` | optional, seconds per step |
| `kind` | optional text: `real`, `recorded` (default) or `synthetic` |
| `SPLIT_ptr` | integer [n+1], events of sample i are ptr[i] .. ptr[i+1]-1 |
| `SPLIT_step`, `SPLIT_channel`, `SPLIT_count` | integer [E], strictly ascending by (step, channel) within a sample |
| `SPLIT_label` | integer [n] |
| `SPLIT_speaker` | optional integer [n] |

SPLIT = `train`, `validation`, `test`. Instead of ptr, step, channel and count a split may hold dense `SPLIT_counts`,
integer [n, steps, channels].
"""

from __future__ import annotations

import io
import lzma
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.data.record import SPLITS, EventPack, Kind, SpikeData, spike_data
from tilewire.errors import DataError

FORMAT = "tilewire-spikes-1"
MOST_BYTES = 4 << 30  # uncompressed content of one file
_COMMON = {"format", "classes", "steps", "channels", "step_s", "kind"}
_PARTS = ("ptr", "step", "channel", "count", "label", "speaker", "counts")
_READ_FAULTS = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    RuntimeError,
    SyntaxError,
    TypeError,
    MemoryError,
    OverflowError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)

Arrays = dict[str, NDArray[Any]]


def write_npz(data: SpikeData, path: Path) -> None:
    """Writes the file above: smallest unsigned types, constant time stamps (equal data give equal bytes), temporary name, then renamed."""
    first = data.splits["train"]
    arrays: Arrays = {
        "format": np.array(FORMAT),
        "kind": np.array(data.kind),
        "classes": np.array(data.classes),
        "steps": np.array(first.steps),
        "channels": np.array(first.channels),
    }
    if first.step_s is not None:
        arrays["step_s"] = np.array(first.step_s)
    for split, pack in data.splits.items():
        for part in ("ptr", "step", "channel", "count", "label", "speaker"):
            values = getattr(pack, part)
            if values is not None:
                small = values.min(initial=0) >= 0
                arrays[f"{split}_{part}"] = (
                    values.astype(np.min_scalar_type(values.max(initial=0))) if small else values
                )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
                for name, values in arrays.items():
                    content = io.BytesIO()
                    np.lib.format.write_array(content, values, allow_pickle=False)
                    entry = zipfile.ZipInfo(f"{name}.npy")
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, content.getvalue())
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def read_npz(path: Path, name: str | None = None) -> SpikeData:
    """The data set of a file in the format above, called `name` (default: the file's stem). Raises DataError that lists every fault."""
    arrays = _arrays(path)
    faults = [
        f"{path.name} lacks the key '{key}'" for key in ("format", "classes", "steps", "channels") if key not in arrays
    ]
    faults += [f"unknown key '{key}'" for key in arrays if not _known(key)]
    if not faults and str(arrays["format"]) != FORMAT:
        faults.append(f"format '{arrays['format']}' is not '{FORMAT}'")
    if faults:
        raise DataError("; ".join(faults), where=str(path), hint="docs/data.md lists the keys of a spike file")
    classes = tuple(str(text) for text in np.atleast_1d(arrays["classes"]))
    step_s = _scalar(arrays, "step_s", float, faults) if "step_s" in arrays else None
    shape = (_scalar(arrays, "steps", int, faults), _scalar(arrays, "channels", int, faults))
    if step_s is not None and not 0 < step_s < math.inf:
        faults.append(f"step_s is {step_s}, must be positive")
    if not all(1 <= size <= 1 << 16 for size in shape):
        faults.append(f"steps {shape[0]} and channels {shape[1]} must be 1 .. 65536")
    packs = {} if faults else {split: _pack(split, arrays, shape, step_s, faults) for split in SPLITS}
    complete = {split: pack for split, pack in packs.items() if pack is not None}
    if faults:
        raise DataError("; ".join(faults), where=str(path))
    kind: Kind = str(arrays.get("kind", "recorded"))  # type: ignore[assignment]  # spike_data refuses unknown kinds
    try:
        return spike_data(name or path.stem, kind, classes, complete)
    except DataError as error:
        raise DataError(error.message, where=str(path)) from error


def _known(key: str) -> bool:
    split, _, part = key.partition("_")
    return key in _COMMON or (split in SPLITS and part in _PARTS)


def _arrays(path: Path) -> Arrays:
    """All arrays of an npz: no objects, sizes verified against the archive before anything is allocated."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if total > MOST_BYTES or len(entries) > 64:
                raise DataError(
                    f"{len(entries)} arrays of {total} bytes, at most 64 of {MOST_BYTES} together", where=str(path)
                )
            return {
                entry.filename.removesuffix(".npy"): _array(archive.read(entry), entry.filename, path)
                for entry in entries
            }
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path)) from error
    except _READ_FAULTS as error:
        raise DataError(f"not a readable npz file ({type(error).__name__}: {error})", where=str(path)) from error


def _array(content: bytes, entry: str, path: Path) -> NDArray[Any]:
    """One array of numbers or text from the bytes of a .npy file."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype.kind not in "iufU" or fortran or len(shape) > 3:
        raise DataError(
            f"{entry}: {dtype} with {len(shape)} axes is not allowed, only numbers and text in C order", where=str(path)
        )
    body = content[stream.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise DataError(f"{entry}: {len(body)} bytes for shape {shape} of {dtype}", where=str(path))
    if dtype.kind == "U":
        codes = np.frombuffer(body, np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if np.any((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))):
            raise DataError(f"{entry}: holds numbers that are no characters", where=str(path))
    return np.frombuffer(body, dtype=dtype).reshape(shape)


def _scalar(arrays: Arrays, key: str, kind: type[Any], faults: list[str]) -> Any:
    value = arrays[key]
    if value.ndim or value.dtype.kind not in ("iu" if kind is int else "iuf"):
        faults.append(f"{key} must be one number, not {value.dtype} {value.shape}")
        return kind(0)
    return kind(value)


def _integers(arrays: Arrays, key: str, low: int, high: int, faults: list[str]) -> NDArray[np.int64]:
    values = arrays.get(key, np.empty(0))
    if key not in arrays or values.dtype.kind not in "iu":
        faults.append(f"'{key}' is missing" if key not in arrays else f"'{key}' holds {values.dtype}, not integers")
    elif values.ndim != 1:
        faults.append(f"'{key}' has {values.ndim} axes, not one")
    elif values.size and not (low <= int(values.min()) and int(values.max()) <= high):
        faults.append(f"'{key}' holds {values.min()} .. {values.max()}, allowed {low} .. {high}")
    else:
        return values.astype(np.int64)
    return np.empty(0, np.int64)


def _pack(
    split: str, arrays: Mapping[str, NDArray[Any]], shape: tuple[int, int], step_s: float | None, faults: list[str]
) -> EventPack | None:
    """One split, or None with the reasons added to `faults`."""
    before = len(faults)
    held = dict(arrays)
    label = _integers(held, f"{split}_label", 0, (1 << 31) - 1, faults).astype(np.int32)
    speaker = None
    if f"{split}_speaker" in held:
        speaker = _integers(held, f"{split}_speaker", -(1 << 31), (1 << 31) - 1, faults).astype(np.int32)
    if f"{split}_counts" in held:
        counts = held[f"{split}_counts"]
        if counts.dtype.kind not in "iu" or counts.shape != (len(label), *shape):
            faults.append(f"'{split}_counts' is {counts.dtype} {counts.shape}, must be integer {(len(label), *shape)}")
        elif counts.size and (int(counts.min()) < 0 or int(counts.max()) > 255):
            faults.append(f"'{split}_counts' holds {counts.min()} .. {counts.max()}, allowed 0 .. 255")
        if len(faults) > before:
            return None
        return EventPack.from_dense(counts, label, speaker, step_s)
    ptr = _integers(held, f"{split}_ptr", 0, 1 << 62, faults)
    step = _integers(held, f"{split}_step", 0, shape[0] - 1, faults)
    channel = _integers(held, f"{split}_channel", 0, shape[1] - 1, faults)
    count = _integers(held, f"{split}_count", 1, 255, faults)
    if len(faults) > before:
        return None
    if ptr.size != label.size + 1 or ptr[0] != 0 or ptr[-1] != step.size or np.any(np.diff(ptr) < 0):
        faults.append(f"'{split}_ptr' must rise from 0 to {step.size} in {label.size + 1} entries")
    elif not step.size == channel.size == count.size or (speaker is not None and speaker.size != label.size):
        faults.append(f"the arrays of '{split}' differ in length")
    else:
        cell = np.repeat(np.arange(label.size), np.diff(ptr)) * (shape[0] * shape[1]) + step * shape[1] + channel
        if np.any(np.diff(cell) <= 0):
            faults.append(f"the events of '{split}' are not strictly ascending by (step, channel) within each sample")
    if len(faults) > before:
        return None
    narrow = (step.astype(np.uint16), channel.astype(np.uint16), count.astype(np.uint8))
    return EventPack(ptr, *narrow, steps=shape[0], channels=shape[1], label=label, speaker=speaker, step_s=step_s)
