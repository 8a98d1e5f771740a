"""A batch as lanes: element (i, sample) of an activation [B, N] lies beside the other samples of i, ready for vectors.

The samples are cut into chunks; the chunk that starts at sample ``lane`` and is ``width`` wide lies at ``lane * N`` as
[N, width]. The widths are those of ``WIDTHS``, the last chunk is padded with zeros. So one weight, once loaded, meets ``width`` samples.
"""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

from tilewire.kernels.numba_products import transpose
from tilewire.kernels.numba_vector import LANES

WIDTHS = (128, 64, 16)
"""Widths of a chunk, widest first; the narrowest is ``LANES``."""
NEAR = 1 << 20
"""Bytes of one chunk that stay in the second cache beside the weights that stream past."""


def padded(batch: int) -> int:
    """Lanes that a batch takes."""
    return -(-batch // LANES) * LANES


def widest(features: int, itemsize: int) -> int:
    """Widest chunk of ``features`` rows that stays near."""
    return next((width for width in WIDTHS if width * features * itemsize <= NEAR), LANES)


@njit(cache=True)
def chunk_width(left: int, limit: int) -> int:
    """Width of the next chunk when ``left`` lanes are left and no chunk may exceed ``limit``."""
    if left >= 128 and limit >= 128:
        return 128
    return 64 if left >= 64 and limit >= 64 else 16


@njit(cache=True, nogil=True)
def to_lanes(rows: NDArray[Any], lanes: NDArray[Any], first: int, last: int, limit: int) -> None:
    """Transpose columns ``first .. last - 1`` of ``rows`` [B, N] into ``lanes`` (flat, padded(B) * N)."""
    batch, features = rows.shape
    flat, lane = rows.reshape(rows.size), 0
    while lane < batch:
        width = chunk_width(lanes.size // max(features, 1) - lane, limit)
        for at in range(lane, lane + width, LANES):
            start, column = lane * features + at - lane, first
            if at + LANES <= batch:
                while column + LANES <= last:
                    transpose(lanes, start + column * width, width, flat, at * features + column, features)
                    column += LANES
            for i in range(column, last):
                for b in range(LANES):
                    lanes[start + i * width + b] = rows[at + b, i] if at + b < batch else 0
        lane += width


@njit(cache=True, nogil=True)
def to_rows(lanes: NDArray[Any], rows: NDArray[Any], first: int, last: int, limit: int) -> None:
    """Transpose ``lanes`` back into columns ``first .. last - 1`` of ``rows`` [B, N]; the padding is dropped."""
    batch, features = rows.shape
    flat, lane = rows.reshape(rows.size), 0
    while lane < batch:
        width = chunk_width(lanes.size // max(features, 1) - lane, limit)
        for at in range(lane, min(lane + width, batch), LANES):
            start, column = lane * features + at - lane, first
            if at + LANES <= batch:
                while column + LANES <= last:
                    transpose(flat, at * features + column, features, lanes, start + column * width, width)
                    column += LANES
            for i in range(column, last):
                for b in range(min(LANES, batch - at)):
                    rows[at + b, i] = lanes[start + i * width + b]
        lane += width
