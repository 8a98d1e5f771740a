"""Sparse linear layer on the CPU: every weight meets the samples of a chunk in one row of vector operations.

Forward walks the outputs: y[o] = sum over its inputs of w x[i]. Backward walks the inputs with the transposed pattern: one
load of dy[o] serves both dx[i] += w dy[o] and dw = <x[i], dy[o]>. No two outputs (inputs) share a result, so the threads
need no private buffers and the result does not depend on their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numpy.typing import NDArray

from tilewire.kernels.numba_lanes import chunk_width
from tilewire.kernels.numba_vector import LANES, _mask, _Memory, instruction

Longs = NDArray[np.int64]
Ints = NDArray[np.int32]


class Loop:
    """Vectors of ``LANES`` that live in registers across a loop of an intrinsic."""

    def __init__(self, memory: _Memory, width: int) -> None:
        self.memory, self.builder = memory, memory.builder
        self.parts = range(0, width, LANES)
        self.kind = ir.VectorType(memory.element, LANES)

    def held(self, start: list[Any]) -> list[Any]:
        """Variables that begin with the given vectors."""
        variables = [cgutils.alloca_once(self.builder, self.kind) for _ in start]  # type: ignore[no-untyped-call]
        for variable, value in zip(variables, start, strict=True):
            self.builder.store(value, variable)
        return variables

    def zeros(self) -> list[Any]:
        """One zero per part."""
        return self.held([ir.Constant(self.kind, None)] * len(self.parts))

    def rows(self, array: int, start: Any) -> list[Any]:
        """The vectors of a row that begins at ``start``."""
        return [self.memory.load(array, self.builder.add(start, ir.Constant(start.type, p)), LANES) for p in self.parts]

    def store(self, variables: list[Any], array: int, start: Any) -> None:
        """Write the variables to a row."""
        for p, variable in zip(self.parts, variables, strict=True):
            self.memory.store(self.builder.load(variable), array, self.builder.add(start, ir.Constant(start.type, p)))

    def add_product(self, variable: Any, a: Any, b: Any) -> None:
        """variable += a b."""
        self.builder.store(self.memory.multiply_add(a, b, self.builder.load(variable)), variable)

    def total(self, vector: Any) -> Any:
        """Sum of the lanes, halves added to halves."""
        builder, width = self.builder, LANES
        while width > 1:
            width //= 2
            blank = ir.Constant(vector.type, ir.Undefined)
            low = builder.shuffle_vector(vector, blank, _mask(list(range(width))))
            high = builder.shuffle_vector(vector, blank, _mask(list(range(width, 2 * width))))
            vector = builder.fadd(low, high)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


@instruction
def collect_row(
    typingctx: Any, to: Any, at: Any, rows: Any, base: Any, weight: Any, index: Any, first: Any, last: Any, width: Any
) -> Any:
    """``to[at : at + width] = sum over k of weight[k] * rows[base + index[k] * width : ... + width]``, k in first .. last - 1."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        loop = Loop(memory, width.literal_value)
        sums = loop.zeros()
        size = ir.Constant(values[1].type, width.literal_value)
        with cgutils.for_range_slice(builder, values[6], values[7], ir.Constant(size.type, 1)) as (k, _):
            row = builder.sext(builder.load(builder.gep(memory.data[5], [k])), size.type)
            factor = memory.spread(builder.load(builder.gep(memory.data[4], [k])), LANES)
            start = builder.add(values[3], builder.mul(row, size))
            for total, vector in zip(sums, loop.rows(2, start), strict=True):
                loop.add_product(total, factor, vector)
        loop.store(sums, 0, values[1])
        return context.get_dummy_value()

    n = types.intp
    return types.void(to, n, rows, n, weight, index, n, n, width), codegen


@instruction
def return_row(
    typingctx: Any, dx: Any, at: Any, x: Any, dy: Any, base: Any, weight: Any, dw: Any, output: Any, slot: Any,
    first: Any, last: Any, width: Any,
) -> Any:  # fmt: skip
    """One input backwards: dx[at:] = sum over k of weight[slot[k]] dy[output[k]], dw[slot[k]] += <x[at:], dy[output[k]]>."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        loop = Loop(memory, width.literal_value)
        sums, held = loop.zeros(), loop.rows(2, values[1])
        size = ir.Constant(values[1].type, width.literal_value)
        with cgutils.for_range_slice(builder, values[9], values[10], ir.Constant(size.type, 1)) as (k, _):
            row = builder.sext(builder.load(builder.gep(memory.data[7], [k])), size.type)
            place = builder.sext(builder.load(builder.gep(memory.data[8], [k])), size.type)
            factor = memory.spread(builder.load(builder.gep(memory.data[5], [place])), LANES)
            error = loop.rows(3, builder.add(values[4], builder.mul(row, size)))
            product = ir.Constant(loop.kind, None)
            for total, vector, own in zip(sums, error, held, strict=True):
                loop.add_product(total, factor, vector)
                product = memory.multiply_add(vector, own, product)
            gradient = builder.gep(memory.data[6], [place])
            builder.store(builder.fadd(builder.load(gradient), loop.total(product)), gradient)
        loop.store(sums, 0, values[1])
        return context.get_dummy_value()

    n = types.intp
    return types.void(dx, n, x, dy, n, weight, dw, output, slot, n, n, width), codegen


@njit(cache=True, nogil=True)
def forward(
    first: int, last: int, x: NDArray[Any], inputs: int, ptr: Longs, index: Ints, weight: NDArray[Any], y: NDArray[Any],
    limit: int,
) -> None:  # fmt: skip
    """Outputs ``first .. last - 1`` of all chunks; ``x`` and ``y`` as lanes."""
    outputs, lane = ptr.size - 1, 0
    lanes = y.size // max(outputs, 1)
    while lane < lanes:
        width = chunk_width(lanes - lane, limit)
        base = lane * inputs
        for o in range(first, last):
            at = lane * outputs + o * width
            if width == 128:
                collect_row(y, at, x, base, weight, index, ptr[o], ptr[o + 1], 128)
            elif width == 64:
                collect_row(y, at, x, base, weight, index, ptr[o], ptr[o + 1], 64)
            else:
                collect_row(y, at, x, base, weight, index, ptr[o], ptr[o + 1], 16)
        lane += width


@njit(cache=True, nogil=True)
def backward(
    first: int, last: int, x: NDArray[Any], dy: NDArray[Any], outputs: int, ptr: Longs, output: Ints, slot: Ints,
    weight: NDArray[Any], dx: NDArray[Any], dw: NDArray[Any], limit: int,
) -> None:  # fmt: skip
    """Inputs ``first .. last - 1``: ``dx`` as lanes, ``dw`` added in slot order; ``ptr``, ``output``, ``slot`` go by input."""
    inputs, lane = ptr.size - 1, 0
    lanes = x.size // max(inputs, 1)
    while lane < lanes:
        width = chunk_width(lanes - lane, limit)
        base = lane * outputs
        for i in range(first, last):
            at = lane * inputs + i * width
            if width == 128:
                return_row(dx, at, x, dy, base, weight, dw, output, slot, ptr[i], ptr[i + 1], 128)
            elif width == 64:
                return_row(dx, at, x, dy, base, weight, dw, output, slot, ptr[i], ptr[i + 1], 64)
            else:
                return_row(dx, at, x, dy, base, weight, dw, output, slot, ptr[i], ptr[i + 1], 16)
        lane += width
