"""Tier 1: the Numba kernels of cascades behind a torch autograd Function."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tilewire.kernels import numba_cascade as kernel
from tilewire.kernels.linear_numba import aligned, array, check_home, threads_for
from tilewire.kernels.stages import Stages
from tilewire.kernels.threads import in_shares


class Cascade(torch.autograd.Function):
    """(x, weight) -> y; keeps x and the weights only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, plan: kernel.Plan) -> Tensor:
        """All stages, chunk by chunk."""
        rows = array(x)
        y, passes, chunk = (
            aligned(rows.shape, rows.dtype),
            kernel.multiply_out(plan, array(weight)),
            kernel.chunk_of(plan, rows.itemsize),
        )
        ctx.save_for_backward(x, weight)
        ctx.kept = plan, passes, chunk

        def work(_: int, first: int, last: int) -> None:
            kernel.forward(first, last, chunk, plan, passes, rows, y, aligned((2, plan.size * chunk), rows.dtype))

        in_shares(work, -(-len(rows) // chunk), threads_for(len(rows) * passes.size))
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The stages again, then backwards; one private weight gradient per thread, summed in thread order."""
        plan, passes, chunk = ctx.kept
        x, weight = (array(tensor) for tensor in ctx.saved_tensors)
        error, dx = array(grads[0]), aligned(x.shape, x.dtype)
        threads = threads_for(3 * len(x) * passes.size)
        partial, run = [np.zeros_like(passes) for _ in range(threads)], cast(Any, kernel.backward)

        def work(share: int, first: int, last: int) -> None:
            states = aligned((plan.radix.size + 2, plan.size * chunk), x.dtype)
            run(first, last, chunk, plan, passes, x, error, dx, partial[share], states)

        in_shares(work, -(-len(x) // chunk), threads)
        for other in partial[1:]:
            partial[0] += other
        dw = kernel.multiply_back(plan, weight, partial[0])
        return torch.from_numpy(dx), torch.from_numpy(dw), None


def cascade_numba(x: Tensor, weight: Tensor, stages: Stages) -> Tensor:
    """The operator of ``tilewire.kernels.cascade.cascade`` on the CPU, float32 or float64. Raises `UsageError` for others."""
    check_home(x)
    y: Tensor = Cascade.apply(x, weight, kernel.plan_of(stages))  # type: ignore[no-untyped-call]
    return y
