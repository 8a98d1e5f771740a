"""Packed weights spread out to a dense matrix and picked up again: rows sixteen columns at a time under a bit mask, blocks row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numpy.typing import NDArray

from tilewire.kernels.numba_products import copy_row
from tilewire.kernels.numba_vector import _Memory, instruction

WORD = 16
"""Columns per mask."""


def masks(ptr: NDArray[np.int64], index: NDArray[np.int32], inputs: int) -> NDArray[np.uint16]:
    """Bit c of ``mask[o, w]`` says whether row o holds column ``w * WORD + c``; uint16 [outputs, whole words]. Rows must ascend."""
    mask = np.zeros((ptr.size - 1, inputs // WORD), np.uint16)
    _mark(ptr, index, mask)
    return mask


@njit(cache=True)
def ascending(ptr: NDArray[np.int64], index: NDArray[np.int32]) -> bool:
    """Whether the entries of every row ascend strictly."""
    for o in range(ptr.size - 1):
        for k in range(ptr[o] + 1, ptr[o + 1]):
            if index[k] <= index[k - 1]:
                return False
    return True


@njit(cache=True)
def _mark(ptr: NDArray[np.int64], index: NDArray[np.int32], mask: NDArray[np.uint16]) -> None:
    for o in range(ptr.size - 1):
        for k in range(ptr[o], ptr[o + 1]):
            word = index[k] // WORD
            if word < mask.shape[1]:
                mask[o, word] |= np.uint16(1) << np.uint16(index[k] % WORD)


def _masked(builder: Any, name: str, result: Any, values: list[Any]) -> Any:
    """Call an LLVM intrinsic by name."""
    kind = ir.FunctionType(result, [value.type for value in values])
    module = builder.module
    function = module.globals.get(name) or ir.Function(module, kind, name)
    return builder.call(function, values)


def _suffix(element: Any) -> str:
    return f"v{WORD}f{32 if isinstance(element, ir.FloatType) else 64}"


@instruction
def _expand(typingctx: Any, to: Any, at: Any, packed: Any, k: Any, mask: Any) -> Any:
    """``to[at + c]`` = the next packed value where bit c is set, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        kind = ir.VectorType(memory.element, WORD)
        bits = builder.bitcast(values[4], ir.VectorType(ir.IntType(1), WORD))
        start = builder.gep(memory.data[2], [values[3]])
        name = f"llvm.masked.expandload.{_suffix(memory.element)}"
        memory.store(_masked(builder, name, kind, [start, bits, ir.Constant(kind, None)]), 0, values[1])
        return context.get_dummy_value()

    return types.void(to, types.intp, packed, types.intp, types.uint16), codegen


@instruction
def _compress(typingctx: Any, packed: Any, k: Any, matrix: Any, at: Any, mask: Any) -> Any:
    """The values ``matrix[at + c]`` whose bit c is set, side by side from ``packed[k]`` on."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        memory = _Memory(context, builder, signature, values)
        bits = builder.bitcast(values[4], ir.VectorType(ir.IntType(1), WORD))
        start = builder.gep(memory.data[0], [values[1]])
        name = f"llvm.masked.compressstore.{_suffix(memory.element)}"
        _masked(builder, name, ir.VoidType(), [memory.load(2, values[3], WORD), start, bits])
        return context.get_dummy_value()

    return types.void(packed, types.intp, matrix, types.intp, types.uint16), codegen


@instruction
def _ones(typingctx: Any, mask: Any) -> Any:
    """Number of set bits."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.zext(builder.ctpop(values[0]), ir.IntType(64))

    return types.int64(types.uint16), codegen


@njit(cache=True, nogil=True)
def spread(
    first: int, last: int, ptr: NDArray[np.int64], index: NDArray[np.int32], mask: NDArray[np.uint16], weight: NDArray[Any],
    matrix: NDArray[Any],
) -> None:  # fmt: skip
    """Fill rows ``first .. last - 1`` of ``matrix`` [outputs, inputs]: the packed weights at their places, zeros elsewhere."""
    flat, inputs, words = matrix.reshape(matrix.size), matrix.shape[1], mask.shape[1]
    for o in range(first, last):
        k = ptr[o]
        for word in range(words):
            bits = mask[o, word]
            _expand(flat, o * inputs + word * WORD, weight, k, bits)
            k += _ones(bits)
        matrix[o, words * WORD :] = 0
        for rest in range(k, ptr[o + 1]):
            matrix[o, index[rest]] = weight[rest]


@njit(cache=True, nogil=True)
def pick(
    first: int, last: int, ptr: NDArray[np.int64], index: NDArray[np.int32], mask: NDArray[np.uint16], matrix: NDArray[Any],
    weight: NDArray[Any],
) -> None:  # fmt: skip
    """The entries of rows ``first .. last - 1`` of ``matrix`` at the places of the packed weights."""
    flat, inputs, words = matrix.reshape(matrix.size), matrix.shape[1], mask.shape[1]
    for o in range(first, last):
        k = ptr[o]
        for word in range(words):
            bits = mask[o, word]
            _compress(weight, k, flat, o * inputs + word * WORD, bits)
            k += _ones(bits)
        for rest in range(k, ptr[o + 1]):
            weight[rest] = matrix[o, index[rest]]


@njit(cache=True)
def _copy(to: NDArray[Any], at: int, row: NDArray[Any], start: int, width: int) -> None:
    """``to[at : at + width] = row[start : start + width]``."""
    j = 0
    while width - j >= WORD:
        copy_row(to, at + j, row, start + j, WORD)
        j += WORD
    while j < width:
        to[at + j] = row[start + j]
        j += 1


@njit(cache=True, nogil=True)
def move_blocks(
    first: int, last: int, ptr: NDArray[np.int64], block: NDArray[np.int64], target: NDArray[np.int32], weight: NDArray[Any],
    matrix: NDArray[Any], back: bool,
) -> None:  # fmt: skip
    """Fill the rows of sources ``first .. last - 1`` of ``matrix`` [inputs, outputs] with their blocks, zeros elsewhere.

    ``back``: fill the blocks from the matrix instead. Source s owns the blocks ``block[ptr[s] : ptr[s + 1]]`` of ``weight``
    [P, rows, columns], no two of them in one place.
    """
    _, rows, columns = weight.shape
    outputs = matrix.shape[1]
    flat, packed = matrix.reshape(matrix.size), weight.reshape(weight.size)
    for s in range(first, last):
        if not back and (ptr[s + 1] - ptr[s]) * columns < outputs:
            matrix[s * rows : (s + 1) * rows] = 0
        for i in range(rows):
            for p in block[ptr[s] : ptr[s + 1]]:
                at, start = (s * rows + i) * outputs + target[p] * columns, (p * rows + i) * columns
                if back:
                    _copy(packed, start, flat, at, columns)
                else:
                    _copy(flat, at, packed, start, columns)
