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
    """(x, weight [P, rows, columns]) -> y for a `BlockPattern` whose sides are multiples of ``NARROW``.

    Everything a call touches in the interpreter has left the caches since the last one and counts: no arrays around tensors.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, pattern: BlockPattern) -> Tensor:
        """Products per target; x and the weights are kept as they are."""
        ctx.save_for_backward(x, weight)
        ctx.pattern = pattern
        return _multiply(x, weight, pattern.by_target, pattern.source, pattern.outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The transposed product, and the products of errors with inputs block by block."""
        x, weight = ctx.saved_tensors
        pattern, error = ctx.pattern, grads[0]
        wants_x, wants_weight, _ = ctx.needs_input_grad
        dx = (
            _multiply(error, weight, pattern.by_source, pattern.target, pattern.inputs, turned=True)
            if wants_x
            else None
        )
        return dx, _weight_gradient(x, error, pattern) if wants_weight else None, None


KIND: dict[torch.dtype, NDArray[Any]] = {torch.float32: np.empty(0, np.float32), torch.float64: np.empty(0, np.float64)}


def _multiply(
    x: Tensor, weight: Tensor, groups: block_kernel.Groups, source: NDArray[np.int32], outputs: int, turned: bool = False
) -> Tensor:  # fmt: skip
    """The product with the blocks, or with their transpose; threads own samples."""
    x, weight = x.contiguous(), weight.contiguous()
    batch, inputs = x.shape
    y, tall = torch.empty((batch, outputs), dtype=x.dtype), block_kernel.TALL
    rest: tuple[Any, ...] = (
        KIND[x.dtype], batch, x.data_ptr(), inputs, groups, source, weight.data_ptr(), tuple(weight.shape), turned, y.data_ptr(), outputs,
    )  # fmt: skip
    threads = threads_for(batch * weight.numel())
    if threads == 1:
        block_kernel.multiply_at(0, batch, *rest)
    else:
        in_shares(
            lambda _, first, last: block_kernel.multiply_at(first * tall, min(last * tall, batch), *rest),
            -(-batch // tall), threads,
        )  # fmt: skip
    return y


def _weight_gradient(x: Tensor, error: Tensor, pattern: BlockPattern) -> Tensor:
    """The products of errors with inputs, block by block; threads own targets."""
    x, error = x.contiguous(), error.contiguous()
    dw = torch.empty(pattern.shape, dtype=x.dtype)
    rest: tuple[Any, ...] = (
        KIND[x.dtype], len(x), x.data_ptr(), pattern.inputs, pattern.by_target, pattern.source, error.data_ptr(), pattern.outputs,
        dw.data_ptr(), pattern.shape,
    )  # fmt: skip
    threads = threads_for(len(x) * dw.numel())
    if threads == 1:
        block_kernel.backward_weight_at(0, pattern.n_targets, *rest)
    else:
        in_shares(
            lambda _, first, last: block_kernel.backward_weight_at(first, last, *rest), pattern.n_targets, threads
        )
    return dw


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
