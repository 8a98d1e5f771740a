"""hMETIS files (.hgr) as nets: one hyperedge a net, its first pin the source neuron, the others the neurons it reaches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from tilewire.errors import DataError, NetsError

MAX_NEURONS = 1 << 24


def read_hgr(path: Path) -> csr_array:
    """Synapse matrix 0/1 CSR of an hMETIS file: header "hyperedges vertices [fmt]", then a line a hyperedge, vertices from 1, % comments.

    fmt 1 and 11 put a weight first on each hyperedge line, 10 and 11 append vertex weights; both are skipped. Raises `DataError`
    for a malformed file, `NetsError` for pins outside the vertices.
    """
    try:
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise DataError("not an hMETIS file (no plain text)", where=str(path)) from error
    lines = [
        (i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("%")
    ]
    if not lines:
        raise DataError("an empty hMETIS file", where=str(path))
    header = _numbers(lines[0], path)
    if len(header) not in (2, 3) or (len(header) == 3 and header[2] not in (0, 1, 10, 11)):
        raise DataError(
            f"header '{lines[0][1].strip()}' is not 'hyperedges vertices [fmt]'", where=f"{path}:{lines[0][0]}"
        )
    edges, neurons = header[0], header[1]
    if not 1 <= neurons <= MAX_NEURONS:
        raise NetsError(f"{neurons} vertices, allowed 1 to {MAX_NEURONS}", where=str(path))
    kind = header[2] if len(header) == 3 else 0
    expected = 1 + edges + (neurons if kind >= 10 else 0)
    if len(lines) != expected:
        raise DataError(f"{len(lines)} lines of content, the header announces {expected}", where=str(path))
    source, target = [], []
    for line in lines[1 : 1 + edges]:
        pins = _numbers(line, path)[kind % 10 :]
        if not pins or min(pins) < 1 or max(pins) > neurons:
            raise NetsError(f"a hyperedge without pins or with pins outside 1..{neurons}", where=f"{path}:{line[0]}")
        source += [pins[0] - 1] * (len(pins) - 1)
        target += [pin - 1 for pin in pins[1:]]
    keep = np.array(source, np.int64) != np.array(target, np.int64)
    row, column = np.array(source, np.int64)[keep], np.array(target, np.int64)[keep]
    matrix = csr_array((np.ones(row.size, np.int8), (row, column)), shape=(neurons, neurons))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _numbers(line: tuple[int, str], path: Path) -> list[int]:
    try:
        return [int(word) for word in line[1].split()]
    except ValueError as error:
        raise DataError(
            f"'{line[1].strip()[:60]}' holds something that is no whole number", where=f"{path}:{line[0]}"
        ) from error
