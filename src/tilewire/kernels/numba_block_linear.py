"""Block-sparse linear layer on the CPU: small dense products whose results stay in registers.

All three products add outer products: a few scalars times one row of a block. Forward, per target and ``TALL`` samples: scalars
x[b, i], rows W[p, i, :]. Gradient of the input: the same over the transposed blocks, grouped by source. Gradient of a block: scalars
x[b, i], rows dy[b, :], summed over the batch. Threads own targets (sources, blocks): no private buffers, results independent of their
number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numpy.typing import NDArray

from tilewire.kernels.numba_vector import _Memory, instruction

NARROW = 8
"""Columns of the narrow product; sides of blocks are multiples of it."""
TALL, WIDE = (8, 32) if binding.get_host_cpu_features().get("avx512f", False) else (4, 16)
"""Scalars and columns of the wide product: as many results as the vector registers hold."""

Longs = NDArray[np.int64]
Ints = NDArray[np.int32]


@instruction
def outer_products(
    typingctx: Any, to: Any, at: Any, to_stride: Any, scalar: Any, s: Any, s_step: Any, s_next: Any,
    row: Any, r: Any, r_next: Any, steps: Any, tall: Any, wide: Any,
) -> Any:  # fmt: skip
    """Add ``steps`` outer products of ``tall`` scalars and ``wide`` columns to ``to``.

    ``to[at + i * to_stride + j] += sum over k of scalar[s + i * s_step + k * s_next] * row[r + k * r_next + j]``.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        n, lanes = values[1].type, range(tall.literal_value)
        kind = ir.VectorType(memory.element, wide.literal_value)
        sums = [cgutils.alloca_once(builder, kind) for _ in lanes]  # type: ignore[no-untyped-call]

        def place(start: Any, step: Any, k: int) -> Any:
            return builder.add(start, builder.mul(step, ir.Constant(n, k)))

        for i, total in enumerate(sums):
            builder.store(memory.load(0, place(values[1], values[2], i), wide.literal_value), total)
        with cgutils.for_range(builder, values[10], intp=n) as loop:
            vector = memory.load(7, builder.add(values[8], builder.mul(loop.index, values[9])), wide.literal_value)
            start = builder.add(values[4], builder.mul(loop.index, values[6]))
            for i, total in enumerate(sums):
                factor = builder.load(builder.gep(memory.data[3], [place(start, values[5], i)]))
                product = memory.multiply_add(memory.spread(factor, wide.literal_value), vector, builder.load(total))
                builder.store(product, total)
        for i, total in enumerate(sums):
            memory.store(builder.load(total), 0, place(values[1], values[2], i))
        return context.get_dummy_value()

    n = types.intp
    return types.void(to, n, n, scalar, n, n, n, row, n, n, n, tall, wide), codegen


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
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, TALL, WIDE
                    )
                else:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, TALL, NARROW
                    )
                i += TALL
            else:
                if wide:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, 1, WIDE
                    )
                else:
                    outer_products(
                        to, place, to_stride, scalar, start, s_step, s_next, row, r + j, r_next, steps, 1, NARROW
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
