"""Square matrices of synapses from files: row = source, any non-zero is a synapse, the diagonal is ignored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import DataError, NetsError
from tilewire.mapping.archive import read_arrays
from tilewire.mapping.hypergraph import read_hgr

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MAX_SIDE = 1 << 21
_MAX_DENSE = 1 << 15  # side of a matrix that is written out in full
_SPARSE_KEYS = {"format", "shape", "data", "indices", "indptr"}


def _synapses(matrix: Any, where: str) -> csr_array:
    """0/1 CSR without diagonal. Raises `NetsError` for what is not a square matrix of finite numbers."""
    from scipy.sparse import coo_array

    pairs = coo_array(matrix)
    if pairs.ndim != 2 or pairs.shape[0] != pairs.shape[1] or pairs.shape[0] < 1:
        raise NetsError(f"matrix of shape {list(pairs.shape)} is not square", where=where)
    if pairs.dtype.kind not in "biuf":
        raise NetsError(f"matrix of {pairs.dtype} does not hold real numbers", where=where)
    if not np.isfinite(pairs.data).all():
        raise NetsError(f"{int((~np.isfinite(pairs.data)).sum())} entries are not finite", where=where)
    pairs.sum_duplicates()
    keep = (pairs.data != 0) & (pairs.row != pairs.col)
    ones = np.ones(int(keep.sum()), np.int8)
    return coo_array((ones, (pairs.row[keep], pairs.col[keep])), shape=pairs.shape).tocsr()


def of_arrays(arrays: dict[str, NDArray[Any]], where: str) -> csr_array:
    """Matrix of an ``.npz``: SciPy's CSR or CSC layout, or one dense 2-D array."""
    if set(arrays) >= _SPARSE_KEYS:
        return _synapses(_compressed(arrays, where), where)
    dense = [name for name, array in arrays.items() if array.ndim == 2]
    if len(dense) != 1:
        raise NetsError(
            f"arrays {sorted(arrays)} are neither nets nor one matrix",
            where=where,
            hint="'branches' [n, 2], a SciPy sparse matrix, or one square array",
        )
    return _synapses(arrays[dense[0]], where)


def _compressed(arrays: dict[str, NDArray[Any]], where: str) -> Any:
    from scipy.sparse import csc_array, csr_array

    kind, shape = bytes(arrays["format"].tobytes()).rstrip(b"\0"), tuple(int(v) for v in arrays["shape"].ravel())
    if kind not in (b"csr", b"csc") or len(shape) != 2 or not all(0 < side <= MAX_SIDE for side in shape):
        raise NetsError(f"sparse matrix of format {kind!r} and shape {list(shape)}", where=where, hint="csr or csc")
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    try:
        matrix = (csr_array if kind == b"csr" else csc_array)(parts, shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise NetsError(f"damaged sparse matrix ({error})", where=where) from error
    return matrix


def read_csv(path: Path) -> csr_array:
    """Comma separated rows of numbers."""
    with path.open("rb") as stream:
        first = stream.readline()
    side = first.count(b",") + 1
    if not first.strip() or side > _MAX_DENSE:
        raise NetsError(f"first row has {side if first.strip() else 0} entries, limit {_MAX_DENSE}", where=str(path))
    try:
        dense = np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float64)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"not a matrix of numbers ({error})", where=str(path)) from error
    return _synapses(dense, str(path))


def read_mtx(path: Path) -> csr_array:
    """Matrix Market file, measured by its header before it is read."""
    from scipy.io import mminfo, mmread

    try:
        rows, columns, entries, layout, _, _ = mminfo(str(path))
        limit = MAX_SIDE if layout == "coordinate" else _MAX_DENSE
        if max(rows, columns) > limit or entries > path.stat().st_size:
            raise ValueError(f"{rows} x {columns} with {entries} entries is beyond {limit} a side or the file's size")
        matrix = mmread(str(path))
    except (ValueError, OSError, OverflowError, TypeError) as error:
        raise DataError(f"not a Matrix Market file ({error})", where=str(path)) from error
    return _synapses(matrix, str(path))


READERS: dict[str, Callable[[Path], csr_array]] = {".csv": read_csv, ".mtx": read_mtx, ".hgr": read_hgr}


def read_matrix(path: Path) -> csr_array:
    """Square matrix of synapses of a file, by its suffix. Raises `DataError` for a damaged file, `NetsError` for wrong content."""
    suffix = path.suffix.lower()
    if suffix != ".npz" and suffix not in READERS:
        raise DataError(f"'{suffix}' is not a matrix format", where=str(path), hint=", ".join([".npz", *READERS]))
    if not path.is_file():
        raise DataError("no such matrix file", where=str(path))
    return of_arrays(read_arrays(path), str(path)) if suffix == ".npz" else READERS[suffix](path)
