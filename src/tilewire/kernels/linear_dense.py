"""The dense path: packed weights spread out to a matrix, for densities at which a dense product is faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from tilewire.kernels import numba_spread as kernel
from tilewire.kernels.linear_numba import aligned, array, threads_for
from tilewire.kernels.patterns import BlockPattern, Pattern, RowPattern
from tilewire.kernels.threads import in_shares


class Spread(torch.autograd.Function):
    """Packed weights [n] of a `RowPattern` with ascending rows -> matrix [outputs, inputs]; backward picks the entries again."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, pattern: RowPattern) -> Tensor:
        """Zeros with the weights at their places."""
        ctx.pattern, w = pattern, array(weight)
        matrix = aligned((pattern.outputs, pattern.inputs), w.dtype)

        def work(_: int, first: int, last: int) -> None:
            kernel.spread(first, last, pattern.ptr, pattern.index, pattern.masks, w, matrix)

        in_shares(work, pattern.outputs, threads_for(matrix.size))
        return torch.from_numpy(matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """The gradient at the places of the weights."""
        pattern, matrix = ctx.pattern, array(grads[0])
        weight = np.empty(pattern.index.size, matrix.dtype)

        def work(_: int, first: int, last: int) -> None:
            kernel.pick(first, last, pattern.ptr, pattern.index, pattern.masks, matrix, weight)

        in_shares(work, pattern.outputs, threads_for(matrix.size))
        return torch.from_numpy(weight), None


class SpreadBlocks(torch.autograd.Function):
    """Packed weights of a simple `BlockPattern` -> matrix [inputs, outputs]: that way round a row of a block stays a row."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, pattern: BlockPattern) -> Tensor:
        """Zeros with the blocks at their places."""
        ctx.pattern = pattern
        matrix = weight.new_empty(pattern.inputs, pattern.outputs)
        _move(array(weight), pattern, matrix.numpy(), back=False)
        return matrix

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """The gradient at the places of the blocks."""
        weight = grads[0].new_empty(ctx.pattern.shape)
        _move(weight.numpy(), ctx.pattern, array(grads[0]), back=True)
        return weight, None


def _move(weight: NDArray[Any], pattern: BlockPattern, matrix: NDArray[Any], back: bool) -> None:
    def work(_: int, first: int, last: int) -> None:
        kernel.move_blocks(first, last, *pattern.by_source, pattern.target, weight, matrix, back)

    in_shares(work, pattern.n_sources, threads_for(matrix.size))


def dense_matrix(weight: Tensor, pattern: Pattern) -> Tensor:
    """The layer as a matrix [outputs, inputs], differentiable; a view where the packed weights already are one."""
    if isinstance(pattern, BlockPattern):
        grid = weight.new_zeros(pattern.n_targets, pattern.n_sources, pattern.columns, pattern.rows)
        place = tuple(torch.from_numpy(a.astype(np.int64)).to(weight.device) for a in (pattern.target, pattern.source))
        spread = grid.index_put(place, weight.transpose(1, 2), accumulate=True)
        return spread.transpose(1, 2).reshape(pattern.outputs, pattern.inputs)
    if pattern.is_full:
        return weight.view(pattern.outputs, pattern.inputs)
    if weight.device.type == "cpu" and pattern.is_ascending:
        matrix: Tensor = Spread.apply(weight, pattern)  # type: ignore[no-untyped-call]
        return matrix
    flat = pattern.output.astype(np.int64) * pattern.inputs + pattern.index
    zeros = weight.new_zeros(pattern.outputs * pattern.inputs)
    return zeros.index_add(0, torch.from_numpy(flat).to(weight.device), weight).view(pattern.outputs, pattern.inputs)


def linear_dense(x: Tensor, weight: Tensor, pattern: Pattern) -> Tensor:
    """The operator of ``tilewire.kernels.linear.sparse_linear`` as one dense product."""
    if isinstance(pattern, BlockPattern) and weight.device.type == "cpu" and pattern.is_simple:
        matrix: Tensor = SpreadBlocks.apply(weight, pattern)  # type: ignore[no-untyped-call]
        return x @ matrix
    return torch.nn.functional.linear(x, dense_matrix(weight, pattern))
