"""Vector instructions for the Numba kernels, written once for every CPU.

LLVM splits a vector of 16 or 64 numbers into whatever registers the machine has (AVX-512, AVX2, NEON). The
loops around these operations stay plain Numba; only what its loop vectoriser does not find is spelled out
here. All arrays are one-dimensional and contiguous, indices are in elements and are not checked.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Samples that go through time together; also the width of a row operation."""
WIDE = 32
"""Width of the operations that do the bulk of a row."""
TAIL = 4
"""Width of the operations that finish a row; packed rows are padded to a multiple of it."""
SCAN = 64
"""Neurons tested against the threshold at once."""

CONTRACT = ("contract",)
ESTIMATE = ("arcp", "contract", "ninf", "nsz")
"""Lets LLVM refine a reciprocal estimate instead of dividing."""
instruction: Any = intrinsic(prefer_literal=True)


class _Memory:
    """Loads and stores of vectors at element offsets of the array arguments of one intrinsic."""

    def __init__(self, context: Any, builder: Any, signature: Any, values: Any) -> None:
        self.builder = builder
        self.element = context.get_value_type(signature.args[0].dtype)
        self.align = self.element.get_abi_size(context.target_data)
        self.data = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else None
            for kind, value in zip(signature.args, values, strict=True)
        ]

    def pointer(self, array: int, index: Any, width: int) -> Any:
        start = self.builder.gep(self.data[array], [index])
        return self.builder.bitcast(start, ir.VectorType(self.element, width).as_pointer())

    def load(self, array: int, index: Any, width: int) -> Any:
        return self.builder.load(self.pointer(array, index, width), align=self.align)

    def store(self, value: Any, array: int, index: Any) -> None:
        self.builder.store(value, self.pointer(array, index, value.type.count), align=self.align)

    def step(self, start: Any, stride: Any, k: int) -> Any:
        """start + k stride."""
        return self.builder.add(start, self.builder.mul(stride, ir.Constant(stride.type, k)))

    def spread(self, scalar: Any, width: int) -> Any:
        """A vector that repeats one scalar."""
        kind = ir.VectorType(self.element, width)
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, _index(0))
        return self.builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), _mask([0] * width))

    def multiply_add(self, a: Any, b: Any, total: Any) -> Any:
        """total + a b, fused where the machine can."""
        return self.builder.fadd(total, self.builder.fmul(a, b, flags=CONTRACT), flags=CONTRACT)


def _index(value: int) -> Any:
    return ir.Constant(ir.IntType(32), value)


def _mask(lanes: list[int]) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)


@instruction
def add_row(typingctx: Any, to: Any, i: Any, row: Any, j: Any, scale: Any, width: Any) -> Any:
    """``to[i : i + width] += scale * row[j : j + width]``; ``width`` is a constant."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        factor = memory.spread(values[4], width.literal_value)
        old = memory.load(0, values[1], width.literal_value)
        new = memory.multiply_add(factor, memory.load(2, values[3], width.literal_value), old)
        memory.store(new, 0, values[1])
        return context.get_dummy_value()

    return types.void(to, types.intp, row, types.intp, to.dtype, width), codegen


@instruction
def above(typingctx: Any, row: Any, i: Any, threshold: Any) -> Any:
    """Bit k of the result says whether ``row[i + k] > threshold``, for k below ``SCAN``."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        limit = memory.spread(values[2], SCAN)
        bits = builder.fcmp_ordered(">", memory.load(0, values[1], SCAN), limit)
        return builder.bitcast(bits, ir.IntType(SCAN))

    return types.uint64(row, types.intp, row.dtype), codegen


@instruction
def lowest_bit(typingctx: Any, bits: Any) -> Any:
    """Position of the lowest set bit of a non-zero 64-bit number."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


@instruction
def neurons_back(
    typingctx: Any,
    dv: Any,
    dz: Any,
    dz_next: Any,
    at: Any,
    rows: Any,
    i: Any,
    width: Any,
    v: Any,
    j: Any,
    stride: Any,
    dynamics: Any,
) -> Any:
    """The neuron model backwards for a square of ``LANES`` neurons and samples, all in registers.

    ``dv``, ``dz`` and ``dz_next`` hold [neuron, lane] from ``at`` on; ``v[j + lane * stride + neuron]`` are the potentials.
    With (leak, threshold, slope, reset, one) = ``dynamics``, in this order:
    dv = leak dv + (dz - reset dv) / (one + slope |v - threshold|)^2,  dz = dz_next,
    ``rows[i + lane * width + neuron]`` = dv.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        numbers = cgutils.unpack_tuple(builder, values[10])  # type: ignore[no-untyped-call]
        leak, threshold, slope, reset, one = (memory.spread(number, LANES) for number in numbers)
        lanes = range(LANES)
        potentials = _transposed(builder, [memory.load(7, memory.step(values[8], values[9], k), LANES) for k in lanes])
        errors = []
        for k, potential in enumerate(potentials):
            place = builder.add(values[3], ir.Constant(values[3].type, k * LANES))
            above, below = builder.fsub(potential, threshold), builder.fsub(threshold, potential)
            distance = builder.select(builder.fcmp_ordered(">", above, below), above, below)
            surrogate = builder.fdiv(one, memory.multiply_add(slope, distance, one), flags=ESTIMATE)
            error = memory.load(0, place, LANES)
            through = builder.fsub(
                memory.load(1, place, LANES), builder.fmul(reset, error, flags=CONTRACT), flags=CONTRACT
            )
            slanted = builder.fmul(builder.fmul(surrogate, surrogate), through, flags=CONTRACT)
            errors.append(memory.multiply_add(leak, error, slanted))
            memory.store(errors[k], 0, place)
            memory.store(memory.load(2, place, LANES), 1, place)
        for k, row in enumerate(_transposed(builder, errors)):
            memory.store(row, 4, memory.step(values[5], values[6], k))
        return context.get_dummy_value()

    index = types.intp
    return types.void(dv, dz, dz_next, index, rows, index, index, v, index, index, dynamics), codegen


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose a square of vectors in log2 rounds: swap the off-diagonal halves, then quarters, and so on."""
    rows, size = list(rows), len(rows)
    half = size // 2
    while half:
        upper = _mask([c if not c & half else size + c - half for c in range(size)])
        lower = _mask([c + half if not c & half else size + c for c in range(size)])
        for k in (k for k in range(size) if not k & half):
            a, b = rows[k], rows[k + half]
            rows[k], rows[k + half] = (builder.shuffle_vector(a, b, mask) for mask in (upper, lower))
        half //= 2
    return rows


@instruction
def tile_product(
    typingctx: Any,
    sums: Any,
    lanes: Any,
    row: Any,
    weight: Any,
    at: Any,
    stride: Any,
    source: Any,
    first: Any,
    last: Any,
    width: Any,
) -> Any:
    """Bring ``width`` neurons of one tile back to the sources of its blocks, for all lanes.

    For each block k in ``first .. last - 1`` and lane l (arrays of ``LANES`` per neuron):
    ``sums[source[k], l] += sum over j of weight[at + k * stride + j] * lanes[row + j, l]``.
    The ``width`` lane vectors stay in registers; every weight is read once.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        size = ir.Constant(values[2].type, LANES)

        def shift(index: Any, k: int) -> Any:
            return builder.add(index, ir.Constant(index.type, k))

        held = [memory.load(1, builder.mul(shift(values[2], j), size), LANES) for j in range(width.literal_value)]
        with cgutils.for_range_slice(builder, values[7], values[8], ir.Constant(size.type, 1)) as (k, _):
            name = builder.load(builder.gep(memory.data[6], [k]))
            place = builder.mul(builder.sext(name, size.type), size)
            start = builder.add(values[4], builder.mul(k, values[5]))
            total = memory.load(0, place, LANES)
            for j, vector in enumerate(held):
                scalar = builder.load(builder.gep(memory.data[3], [shift(start, j)]))
                total = memory.multiply_add(memory.spread(scalar, LANES), vector, total)
            memory.store(total, 0, place)
        return context.get_dummy_value()

    index = types.intp
    return types.void(sums, lanes, index, weight, index, index, source, index, index, width), codegen
