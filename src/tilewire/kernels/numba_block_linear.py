"""Block-sparse linear layer on the CPU: small dense products whose results stay in registers.

All three products add outer products: a few scalars times one row of a block. Forward, per target and ``TALL`` samples: scalars
x[b, i], rows W[p, i, :]. Gradient of the input: the same over the transposed blocks, grouped by source. Gradient of a block: scalars
x[b, i], rows dy[b, :], summed over the batch. Threads own targets (sources, blocks): no private buffers, results independent of their
number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.kernels.numba_products import LARGE, outer_products

NARROW = 8
"""Columns of the narrow product; sides of blocks are multiples of it."""
TALL, WIDE = (8, 32) if LARGE else (4, 16)
"""Scalars and columns of the wide product: as many results as the vector registers hold."""

Longs = NDArray[np.int64]
Ints = NDArray[np.int32]


@njit(cache=True)
def _add(
    to: NDArray[Any], at: int, to_stride: int, height: int, width: int, scalar: NDArray[Any], s: int, s_step: int, s_next: int,
    row: NDArray[Any], r: int, r_next: int, steps: int,
) -> None:  # fmt: skip
    """``outer_products`` for any height and any width that is a multiple of ``NARROW``."""
    j = 0
    while j < width:
        wide = width - j >= WIDE
        i = 0
        while i < height:
            place, start = at + i * to_stride + j, s + i * s_step
            if height - i >= TALL:
                if wide:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, TALL, WIDE, 1
                    )
                else:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, TALL, NARROW, 1
                    )
                i += TALL
            else:
                if wide:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, 1, WIDE, 1
                    )
                else:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, 1, NARROW, 1
                    )
                i += 1
        j += WIDE if wide else NARROW


@njit(cache=True, nogil=True)
def forward(
    first: int, last: int, x: NDArray[Any], ptr: Longs, block: Longs, source: Ints, weight: NDArray[Any], y: NDArray[Any]
) -> None:  # fmt: skip
    """Targets ``first .. last - 1`` of ``y`` [B, targets * columns] (zero on entry) from ``x`` [B, sources * rows].

    ``weight`` [P, rows, columns]. Target q owns the blocks ``block[ptr[q] : ptr[q + 1]]``; block p reads the inputs of ``source[p]``.
    """
    _, rows, columns = weight.shape
    batch, inputs = x.shape
    outputs = y.shape[1]
    flat_x, flat_y, flat_w = x.reshape(x.size), y.reshape(y.size), weight.reshape(weight.size)
    for q in range(first, last):
        for b in range(0, batch, TALL):
            height = min(TALL, batch - b)
            for k in range(ptr[q], ptr[q + 1]):
                start = b * inputs + source[block[k]] * rows
                _add(
                    flat_y, b * outputs + q * columns, outputs, height, columns, flat_x, start, inputs, 1,
                    flat_w, block[k] * rows * columns, columns, rows,
                )  # fmt: skip


@njit(cache=True)
def _panel(rows: NDArray[Any], column: int, panel: NDArray[Any]) -> None:
    """Copy columns of ``rows`` side by side: rows a power of two apart would share few sets of the first cache."""
    for b in range(panel.shape[0]):
        for j in range(panel.shape[1]):
            panel[b, j] = rows[b, column + j]


@njit(cache=True, nogil=True)
def backward_weight(
    first: int, last: int, x: NDArray[Any], ptr: Longs, block: Longs, source: Ints, dy: NDArray[Any], dw: NDArray[Any]
) -> None:  # fmt: skip
    """Add the gradients of the blocks of targets ``first .. last - 1`` to ``dw`` [P, rows, columns]."""
    _, rows, columns = dw.shape
    batch = x.shape[0]
    error, own = np.empty((batch, columns), x.dtype), np.empty((batch, rows), x.dtype)
    flat_error, flat_own, flat_dw = error.reshape(error.size), own.reshape(own.size), dw.reshape(dw.size)
    for q in range(first, last):
        if ptr[q] < ptr[q + 1]:
            _panel(dy, q * columns, error)
        for k in range(ptr[q], ptr[q + 1]):
            _panel(x, source[block[k]] * rows, own)
            start = block[k] * rows * columns
            _add(flat_dw, start, columns, rows, columns, flat_own, 0, 1, rows, flat_error, 0, columns, batch)
