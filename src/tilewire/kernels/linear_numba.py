"""Tier 1: the Numba kernels of sparse linear layers behind torch autograd Functions."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from tilewire.errors import UsageError
from tilewire.kernels import numba_block_linear as block_kernel
from tilewire.kernels import numba_lanes as lanes
from tilewire.kernels import numba_linear as row_kernel
from tilewire.kernels.patterns import BlockPattern, Pattern, RowPattern
from tilewire.kernels.threads import in_shares

SHARE = 4_000_000
"""Multiplications that pay for one more thread."""


def threads_for(multiplications: int) -> int:
    """Threads for a job: those of torch, fewer for little work."""
    return min(torch.get_num_threads(), 1 + multiplications // SHARE)


class Rows(torch.autograd.Function):
    """(x, weight [n]) -> y for a `RowPattern`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, pattern: RowPattern) -> Tensor:
        """Turn the batch into lanes, multiply, turn back; x is kept as lanes."""
        rows, w = array(x), array(weight)
        batch = len(rows)
        limit = lanes.widest(max(pattern.inputs, pattern.outputs), w.itemsize)
        own = aligned((lanes.padded(batch) * pattern.inputs,), w.dtype)
        result = aligned((lanes.padded(batch) * pattern.outputs,), w.dtype)
        y = aligned((batch, pattern.outputs), w.dtype)
        threads = threads_for(batch * pattern.index.size)

        def work(_: int, first: int, last: int) -> None:
            row_kernel.forward(first, last, own, pattern.inputs, pattern.ptr, pattern.index, w, result, limit)
            lanes.to_rows(result, y, first, last, limit)

        in_shares(lambda _, first, last: lanes.to_lanes(rows, own, first, last, limit), pattern.inputs, threads)
        in_shares(work, pattern.outputs, threads)
        ctx.save_for_backward(weight)
        ctx.kept = own, pattern, limit, threads
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Both gradients in one walk over the inputs."""
        own, pattern, limit, threads = ctx.kept
        w, rows = array(ctx.saved_tensors[0]), array(grads[0])
        dw = np.zeros_like(w)
        error = aligned((lanes.padded(len(rows)) * pattern.outputs,), w.dtype)
        result = aligned((lanes.padded(len(rows)) * pattern.inputs,), w.dtype)
        dx = aligned((len(rows), pattern.inputs), w.dtype)
        by_input, run = pattern.by_input, cast(Any, row_kernel.backward)

        def work(_: int, first: int, last: int) -> None:
            run(first, last, own, error, pattern.outputs, *by_input, w, result, dw, limit)
            lanes.to_rows(result, dx, first, last, limit)

        in_shares(lambda _, first, last: lanes.to_lanes(rows, error, first, last, limit), pattern.outputs, threads)
        in_shares(work, pattern.inputs, threads)
        return torch.from_numpy(dx), torch.from_numpy(dw), None


class BlockProducts(torch.autograd.Function):
    """(x, weight [P, rows, columns]) -> y for a `BlockPattern` whose sides are multiples of ``NARROW``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, pattern: BlockPattern) -> Tensor:
        """Products per target; x and the weights are kept as they are."""
        ctx.save_for_backward(x, weight)
        ctx.pattern = pattern
        y = _multiply(array(x), array(weight), pattern.by_target, pattern.source, pattern.outputs)
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The transposed product, and the products of errors with inputs block by block."""
        x, weight = (array(tensor) for tensor in ctx.saved_tensors)
        pattern, error, dx, dw = ctx.pattern, array(grads[0]), None, None
        if ctx.needs_input_grad[0]:
            dx = torch.from_numpy(
                _multiply(error, weight, pattern.by_source, pattern.target, pattern.inputs, turned=True)
            )
        if ctx.needs_input_grad[1]:
            sums = aligned(weight.shape, x.dtype)

            def work(_: int, first: int, last: int) -> None:
                block_kernel.backward_weight(first, last, x, pattern.by_target, pattern.source, error, sums)

            in_shares(work, pattern.n_targets, threads_for(len(x) * sums.size))
            dw = torch.from_numpy(sums)
        return dx, dw, None


def _multiply(
    x: NDArray[Any], weight: NDArray[Any], groups: block_kernel.Groups, source: NDArray[np.int32], outputs: int,
    turned: bool = False,
) -> NDArray[Any]:  # fmt: skip
    """The product with the blocks, or with their transpose; threads own samples."""
    y, tall = aligned((len(x), outputs), x.dtype), block_kernel.TALL

    def work(_: int, first: int, last: int) -> None:
        block_kernel.multiply(first * tall, min(last * tall, len(x)), x, groups, source, weight, turned, y)

    in_shares(work, -(-len(x) // tall), threads_for(len(x) * weight.size))
    return y


def array(tensor: Tensor) -> NDArray[Any]:
    """The contiguous numbers of a tensor, without a copy where they are."""
    values: NDArray[Any] = tensor.detach().contiguous().numpy()
    return values


def aligned(shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    """Uninitialised numbers that begin on a cache line, as torch aligns them: vectors then never straddle two lines."""
    room: NDArray[Any] = torch.empty(shape, dtype=torch.float64 if kind.itemsize == 8 else torch.float32).numpy()
    return room


def linear_numba(x: Tensor, weight: Tensor, pattern: Pattern) -> Tensor:
    """The operator of ``tilewire.kernels.linear.sparse_linear`` on the CPU, float32 or float64.

    Blocks too narrow for vectors run as compressed rows. Raises `UsageError` for other devices and types.
    """
    check_home(x)
    if isinstance(pattern, RowPattern):
        y: Tensor = Rows.apply(x, weight, pattern)  # type: ignore[no-untyped-call]
    elif pattern.rows % block_kernel.NARROW or pattern.columns % block_kernel.NARROW:
        rows, position = pattern.as_rows
        y = Rows.apply(x, weight.reshape(-1)[torch.from_numpy(position)], rows)  # type: ignore[no-untyped-call]
    else:
        y = BlockProducts.apply(x, weight, pattern)  # type: ignore[no-untyped-call]
    return y


def check_home(x: Tensor) -> None:
    """Raise `UsageError` unless the Numba tier can run on this tensor."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        raise UsageError(
            f"the numba tier runs float32 and float64 on the cpu, not {x.dtype} on {x.device}",
            hint="use tier='reference'",
        )
