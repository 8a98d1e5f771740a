"""NumPy archives from outside: bounded, without pickle, every member measured before it is read; written atomically."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tilewire.errors import DataError

MAX_BYTES = 1 << 31  # of all arrays together, uncompressed
MAX_MEMBERS = 64
_DAMAGE = (OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One array, refused before any allocation if its header promises more than the member holds."""
    with archive.open(info) as stream:
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = header(stream)
        if dtype.hasobject:
            raise ValueError("holds Python objects (pickle), which are never loaded")
        count = 1
        for extent in shape:
            count *= extent
        if count < 0 or stream.tell() + count * dtype.itemsize != info.file_size:
            raise ValueError(f"shape {shape} of {dtype} does not match its {info.file_size} bytes")
        data = np.frombuffer(stream.read(), dtype)
    # A copy, because a buffer of bytes is read-only; Fortran order is stored transposed.
    return data.reshape(shape[::-1]).T.copy() if fortran else data.reshape(shape).copy()


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz``. Raises `DataError` naming every member that is damaged, too large or a pickle."""
    faults: list[str] = []
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise ValueError(f"{len(members)} members, limit {MAX_MEMBERS}")
            total = sum(info.file_size for info in members)
            if total > MAX_BYTES:
                raise ValueError(f"{total} bytes uncompressed, limit {MAX_BYTES}")
            for info in members:
                name = info.filename.removesuffix(".npy")
                try:
                    arrays[name] = _member(archive, info)
                except _DAMAGE as error:
                    faults.append(f"{name}: {error}")
    except FileNotFoundError as error:
        raise DataError("no such file", where=str(path)) from error
    except _DAMAGE as error:
        faults.append(f"not a readable NumPy archive ({error})")
    if faults:
        raise DataError("; ".join(faults), where=str(path), hint="write it with numpy.savez and plain numeric arrays")
    return arrays


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write an ``.npz`` so that readers see the old file or the new one, never a part. Raises `DataError` naming the path."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise DataError(f"cannot be written ({error.strerror})", where=str(path)) from error
