"""Block-sparse linear layer on the CPU: small dense products whose results stay in registers.

All three products add outer products: a few scalars times one row of a block. Forward, per target and ``TALL`` samples: scalars
x[b, i], rows W[p, i, :]. Gradient of the input: the same over the transposed blocks, grouped by source. Gradient of a block: scalars
x[b, i], rows dy[b, :], summed over the batch, both copied side by side first. Every result is summed by one thread in one order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from tilewire.kernels.numba_products import LARGE, copy_row, outer_products, transpose
from tilewire.kernels.numba_vector import LANES, instruction

NARROW = 8
"""Columns of the narrow product; sides of blocks are multiples of it."""
TALL, WIDE = (8, 32) if LARGE else (4, 16)
"""Scalars and columns of the wide product: as many results as the vector registers hold."""
NEAR = 1 << 14
"""Bytes of weights that stay in the first cache while samples pass."""
BESIDE = 1 << 20
"""Bytes of weights, or else of inputs, that stay in the second cache."""
CHUNK, PANEL = 32, 128
"""Samples that stay near while the weights pass, and samples of the panels of a weight gradient."""

Longs = NDArray[np.int64]
Ints = NDArray[np.int32]
Groups = tuple[Longs, Longs]


@njit(cache=True)
def _product(
    to: NDArray[Any], at: int, to_stride: int, height: int, width: int, scalar: NDArray[Any], s: int, s_step: int, s_next: int,
    row: NDArray[Any], r: int, r_next: int, steps: int, keep: bool,
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
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, keep, TALL, WIDE
                    )
                else:
                    outer_products(
                        to,
                        place,
                        to_stride,
                        scalar,
                        start,
                        s_step,
                        s_next,
                        row,
                        r + j,
                        r_next,
                        steps,
                        keep,
                        TALL,
                        NARROW,
                    )
                i += TALL
            else:
                if wide:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, keep, 1, WIDE
                    )
                else:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, keep, 1, NARROW
                    )
                i += 1
        j += WIDE if wide else NARROW


@njit(cache=True)
def _turn(block: NDArray[Any], at: int, rows: int, columns: int, to: NDArray[Any], place: int) -> None:
    """Copy a block [rows, columns] transposed."""
    for i in range(0, rows, LANES):
        for j in range(0, columns, LANES):
            if i + LANES <= rows and j + LANES <= columns:
                transpose(to, place + j * rows + i, rows, block, at + i * columns + j, columns)
            else:
                for k in range(i, min(i + LANES, rows)):
                    for m in range(j, min(j + LANES, columns)):
                        to[place + m * rows + k] = block[at + k * columns + m]


@njit(cache=True, nogil=True)
def multiply(
    first: int, last: int, x: NDArray[Any], groups: Groups, source: Ints, weight: NDArray[Any], turned: bool, y: NDArray[Any]
) -> None:  # fmt: skip
    """Samples ``first .. last - 1`` of ``y`` [B, targets * columns] from ``x`` [B, sources * rows]; nothing is read from ``y``.

    ``weight`` [P, rows, columns]. Target q owns the blocks ``block[ptr[q] : ptr[q + 1]]`` of (ptr, block) = ``groups``; block p reads the
    inputs of ``source[p]``. ``turned``: the blocks are stored as [columns, rows].
    """
    ptr, block = groups
    rows, columns = weight.shape[1], weight.shape[2]
    if turned:
        rows, columns = columns, rows
    inputs, outputs, size = x.shape[1], y.shape[1], rows * columns
    flat_x, flat_y, flat_w = x.reshape(x.size), y.reshape(y.size), weight.reshape(weight.size)
    many, chunk = max(1, NEAR // (size * weight.itemsize)), CHUNK
    if weight.size * weight.itemsize > BESIDE:
        # the weights come from afar for every chunk: as few chunks as the inputs allow
        chunk = max(CHUNK, BESIDE // (inputs * x.itemsize) // TALL * TALL)
    near = np.empty(many * size if turned else 0, weight.dtype)
    stored = near if turned else flat_w
    for start in range(first, last, chunk):
        end = min(start + chunk, last)
        for q in range(ptr.size - 1):
            if ptr[q] == ptr[q + 1]:
                y[start:end, q * columns : (q + 1) * columns] = 0
            for k in range(ptr[q], ptr[q + 1], many):
                some = min(many, ptr[q + 1] - k)
                if turned:
                    for m in range(some):
                        _turn(flat_w, block[k + m] * size, columns, rows, near, m * size)
                for b in range(start, end, TALL):
                    height, to = min(TALL, end - b), b * outputs + q * columns
                    for m in range(some):
                        p, keep = block[k + m], k + m > ptr[q]
                        at = b * inputs + source[p] * rows
                        _product(
                            flat_y, to, outputs, height, columns, flat_x, at, inputs, 1, stored, (m if turned else p) * size,
                            columns, rows, keep,
                        )  # fmt: skip


@njit(cache=True)
def _panel(rows: NDArray[Any], stride: int, at: int, panel: NDArray[Any], width: int, height: int) -> None:
    """Copy ``width`` columns side by side: rows a power of two apart would share few sets of the first cache."""
    for b in range(height):
        j = 0
        while j < width:
            if width - j >= WIDE:
                copy_row(panel, b * width + j, rows, at + b * stride + j, WIDE)
                j += WIDE
            else:
                copy_row(panel, b * width + j, rows, at + b * stride + j, NARROW)
                j += NARROW


@njit(cache=True, nogil=True)
def backward_weight(
    first: int, last: int, x: NDArray[Any], groups: Groups, source: Ints, dy: NDArray[Any], dw: NDArray[Any]
) -> None:  # fmt: skip
    """The gradients ``dw`` [P, rows, columns] of the blocks of targets ``first .. last - 1``; nothing is read from ``dw``."""
    ptr, block = groups
    _, rows, columns = dw.shape
    batch, inputs = x.shape
    outputs = dy.shape[1]
    flat_x, flat_dy, flat = x.reshape(x.size), dy.reshape(dy.size), dw.reshape(dw.size)
    error, own = np.empty(PANEL * columns, x.dtype), np.empty(PANEL * rows, x.dtype)
    for q in range(first, last):
        for b in range(0, max(batch, 1), PANEL):
            height = min(PANEL, batch - b)
            _panel(flat_dy, outputs, b * outputs + q * columns, error, columns, height)
            for p in block[ptr[q] : ptr[q + 1]]:
                _panel(flat_x, inputs, b * inputs + source[p] * rows, own, rows, height)
                _product(
                    flat, p * rows * columns, columns, rows, columns, own, 0, 1, rows, error, 0, columns, height, b > 0
                )


@instruction
def _pointer(typingctx: Any, address: Any) -> Any:
    """A number as the address that it is."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.uintp), codegen


Shape = tuple[int, ...]


@njit(cache=True, nogil=True)
def multiply_at(
    first: int, last: int, kind: NDArray[Any], batch: int, x: int, inputs: int, groups: Groups, source: Ints, weight: int, shape: Shape,
    turned: bool, y: int, outputs: int,
) -> None:  # fmt: skip
    """``multiply`` for addresses of contiguous numbers of the type of ``kind``: arrays cost the caller more than a small product."""
    multiply(
        first, last, carray(_pointer(x), (batch, inputs), kind.dtype), groups, source, carray(_pointer(weight), shape, kind.dtype), turned,
        carray(_pointer(y), (batch, outputs), kind.dtype),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def backward_weight_at(
    first: int, last: int, kind: NDArray[Any], batch: int, x: int, inputs: int, groups: Groups, source: Ints, dy: int, outputs: int,
    dw: int, shape: Shape,
) -> None:  # fmt: skip
    """``backward_weight`` for addresses, as in ``multiply_at``."""
    backward_weight(
        first, last, carray(_pointer(x), (batch, inputs), kind.dtype), groups, source, carray(_pointer(dy), (batch, outputs), kind.dtype),
        carray(_pointer(dw), shape, kind.dtype),
    )  # fmt: skip
