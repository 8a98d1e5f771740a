"""Dense squares in vector registers: transposition, outer products, and the dot products of two sets of rows."""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

from tilewire.kernels.numba_vector import LANES, _mask, _Memory, instruction

LARGE = bool(binding.get_host_cpu_features().get("avx512f", False))
"""Whether the machine has room for 16 vectors of 64 bytes beside the operands."""
SQUARE = 4
"""Rows on either side of ``dot_square``; its dot products fill one vector of ``LANES``."""


@instruction
def transpose(typingctx: Any, to: Any, i: Any, to_stride: Any, source: Any, j: Any, stride: Any) -> Any:
    """Transpose a square of ``LANES``: ``to[i + c * to_stride + r] = source[j + r * stride + c]``."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)

        def at(start: Any, step: Any, k: int) -> Any:
            return builder.add(start, builder.mul(step, ir.Constant(step.type, k)))

        rows = [memory.load(3, at(values[4], values[5], k), LANES) for k in range(LANES)]
        half = LANES // 2
        while half:
            # exchange the off-diagonal quarters of every square of 2 * half
            upper = _mask([c if not c & half else LANES + c - half for c in range(LANES)])
            lower = _mask([c + half if not c & half else LANES + c for c in range(LANES)])
            for k in (k for k in range(LANES) if not k & half):
                a, b = rows[k], rows[k + half]
                rows[k], rows[k + half] = (builder.shuffle_vector(a, b, mask) for mask in (upper, lower))
            half //= 2
        for k, row in enumerate(rows):
            memory.store(row, 0, at(values[1], values[2], k))
        return context.get_dummy_value()

    return types.void(to, types.intp, types.intp, source, types.intp, types.intp), codegen


@instruction
def copy_row(typingctx: Any, to: Any, at: Any, row: Any, start: Any, width: Any) -> Any:
    """``to[at : at + width] = row[start : start + width]``; ``width`` is a constant."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        memory.store(memory.load(2, values[3], width.literal_value), 0, values[1])
        return context.get_dummy_value()

    return types.void(to, types.intp, row, types.intp, width), codegen


@instruction
def outer_products(
    typingctx: Any, to: Any, at: Any, to_stride: Any, scalar: Any, s: Any, s_step: Any, s_next: Any,
    row: Any, r: Any, r_next: Any, steps: Any, keep: Any, tall: Any, wide: Any,
) -> Any:  # fmt: skip
    """Sum ``steps`` outer products of ``tall`` scalars and ``wide`` columns.

    ``to[at + i * to_stride + j] = sum over k of scalar[s + i * s_step + k * s_next] * row[r + k * r_next + j]``, added to what is there
    if ``keep``, else in its place. ``tall`` and ``wide`` are constants; they suit float32, float64 takes the columns in two halves.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        n, keeps = values[1].type, context.cast(builder, values[11], signature.args[11], types.boolean)
        width = min(wide.literal_value, max(LANES // 2, wide.literal_value * 4 // memory.align))
        kind = ir.VectorType(memory.element, width)
        for column in range(0, wide.literal_value, width):
            sums = [cgutils.alloca_once(builder, kind) for _ in range(tall.literal_value)]  # type: ignore[no-untyped-call]
            to_at, row_at = (builder.add(start, ir.Constant(n, column)) for start in (values[1], values[8]))
            for total in sums:
                builder.store(ir.Constant(kind, None), total)
            with builder.if_then(keeps):
                for i, total in enumerate(sums):
                    builder.store(memory.load(0, memory.step(to_at, values[2], i), width), total)
            with cgutils.for_range(builder, values[10], intp=n) as loop:
                vector = memory.load(7, builder.add(row_at, builder.mul(loop.index, values[9])), width)
                start = builder.add(values[4], builder.mul(loop.index, values[6]))
                for i, total in enumerate(sums):
                    factor = builder.load(builder.gep(memory.data[3], [memory.step(start, values[5], i)]))
                    product = memory.multiply_add(memory.spread(factor, width), vector, builder.load(total))
                    builder.store(product, total)
            for i, total in enumerate(sums):
                memory.store(builder.load(total), 0, memory.step(to_at, values[2], i))
        return context.get_dummy_value()

    n = types.intp
    return types.void(to, n, n, scalar, n, n, n, row, n, n, n, keep, tall, wide), codegen


@instruction
def dot_square(
    typingctx: Any, to: Any, at: Any, to_stride: Any, a: Any, a_at: Any, a_step: Any, b: Any, b_at: Any, b_step: Any, parts: Any
) -> Any:  # fmt: skip
    """Dot products of ``SQUARE`` rows with ``SQUARE`` rows, each of ``parts * LANES`` numbers.

    ``to[at + i * to_stride + j] += <a[a_at + i * a_step :], b[b_at + j * b_step :]>``.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        n, side = values[1].type, range(SQUARE)
        kind = ir.VectorType(memory.element, LANES)
        sums = [cgutils.alloca_once(builder, kind) for _ in range(SQUARE * SQUARE)]  # type: ignore[no-untyped-call]
        for total in sums:
            builder.store(ir.Constant(kind, None), total)
        with cgutils.for_range(builder, values[9], intp=n) as loop:
            shift = builder.mul(loop.index, ir.Constant(n, LANES))

            def rows(array: int, start: Any, step: Any) -> list[Any]:
                first = builder.add(start, shift)
                places = (builder.add(first, builder.mul(step, ir.Constant(n, k))) for k in side)
                return [memory.load(array, place, LANES) for place in places]

            left, right = rows(3, values[4], values[5]), rows(6, values[7], values[8])
            for i in side:
                for j in side:
                    total = sums[i * SQUARE + j]
                    builder.store(memory.multiply_add(left[i], right[j], builder.load(total)), total)
        dots = _lane_sums(builder, [builder.load(total) for total in sums])
        blank = ir.Constant(kind, ir.Undefined)
        for i in side:
            start = builder.add(values[1], builder.mul(values[2], ir.Constant(n, i)))
            part = builder.shuffle_vector(dots, blank, _mask([i * SQUARE + j for j in side]))
            memory.store(builder.fadd(memory.load(0, start, SQUARE), part), 0, start)
        return context.get_dummy_value()

    n = types.intp
    return types.void(to, n, n, a, n, n, b, n, n, n), codegen


def _lane_sums(builder: Any, vectors: list[Any]) -> Any:
    """Sum over the lanes of each of ``LANES`` vectors, as one vector: neighbours are added, halving vectors and lanes in turn."""
    even, odd = _mask(list(range(0, 2 * LANES, 2))), _mask(list(range(1, 2 * LANES, 2)))
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [
            builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd)) for a, b in pairs
        ]
    return vectors[0]
