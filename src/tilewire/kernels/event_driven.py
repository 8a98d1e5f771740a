"""The Numba tier behind a torch autograd Function."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from tilewire.errors import UsageError
from tilewire.kernels import numba_layout as layout
from tilewire.kernels import numba_rsnn as kernel
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.kernels.threads import in_shares


class EventDriven(torch.autograd.Function):
    """(w_in, w_rec) -> (counts, trains) with the gradient of the surrogate."""

    @staticmethod
    def forward(
        ctx: Any,
        w_in: Tensor,
        w_rec: Tensor,
        events: SpikeEvents,
        inputs: Blocks,
        recurrent: Blocks,
        lif: Lif,
        readout: NDArray[np.int64],
    ) -> tuple[Tensor, Tensor]:
        """Run the network; keep all potentials only if a gradient may be asked for."""
        number = _array(w_in).dtype.type
        cells = kernel.Cells(events.ptr, events.channel, events.count.astype(number, copy=False))
        rows_in, places_in = layout.by_source(inputs, _array(w_in))
        rows_rec, places_rec = layout.by_source(recurrent, _array(w_rec))
        reset = lif.threshold if lif.reset_gradient else 0.0
        dynamics = kernel.Dynamics(*map(number, (lif.leak, lif.threshold, lif.slope, reset, 1.0)))
        differentiable = any(ctx.needs_input_grad[:2])
        kept = events.steps if differentiable else min(2, events.steps)
        v = _rows_of_potentials(events.batch * kept, kernel.row_width(recurrent.neurons), number)
        counts = np.zeros((events.batch, recurrent.neurons), number)
        trains = np.empty((events.batch, events.steps, readout.size), number)
        fired, spikes = np.zeros(events.ptr.size, np.int64), {}

        def work(share: int, first: int, last: int) -> None:
            spikes[share] = kernel.forward(
                first, last, cells, rows_in, rows_rec, dynamics, readout, v, kept, counts, trains, fired[1:]
            )

        in_shares(work, events.batch, torch.get_num_threads())
        if differentiable:
            # laid out now: rewiring may change the blocks in place before the backward pass
            fans = layout.by_tile(recurrent, _array(w_rec))
            neuron = np.concatenate([np.zeros(0, np.int32), *(spikes[share] for share in sorted(spikes))])
            history = kernel.Fired(np.cumsum(fired), neuron)
            ctx.network = cells, history, rows_in, rows_rec, fans, recurrent.tile_size, dynamics, readout
            # handed to torch, which lets go of it after the backward pass although the outputs live on
            ctx.save_for_backward(torch.from_numpy(v))
            ctx.places = (places_in, w_in.shape), (places_rec, w_rec.shape)
        return torch.from_numpy(counts), torch.from_numpy(trains)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of both weights, slots in their own order, dead slots zero."""
        _, _, rows_in, rows_rec, *_ = ctx.network
        v = ctx.saved_tensors[0].numpy()
        threads = torch.get_num_threads()
        partial = [[layout.aligned(rows.weight.size, v.dtype) for _ in range(threads)] for rows in (rows_in, rows_rec)]
        outside = [_array(grad) for grad in grads]
        run: Any = kernel.backward

        def work(share: int, first: int, last: int) -> None:
            run(first, last, *ctx.network, v, *outside, partial[0][share], partial[1][share])

        in_shares(work, kernel.groups(len(outside[0])), threads)
        done = (
            torch.from_numpy(layout.unpack(places, sums, shape))
            for (places, shape), sums in zip(ctx.places, partial, strict=True)
        )
        return *done, None, None, None, None, None


def _rows_of_potentials(rows: int, width: int, kind: Any) -> NDArray[Any]:
    """Uninitialised [rows, width] that begins at a cache line."""
    block = np.empty(rows * width + layout.CACHE_LINE, kind)
    start = -block.ctypes.data % layout.CACHE_LINE // block.itemsize
    return block[start : start + rows * width].reshape(rows, width)


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().contiguous().numpy()
    return array


def rsnn_event_driven(
    events: SpikeEvents,
    w_in: Tensor,
    inputs: Blocks,
    w_rec: Tensor,
    recurrent: Blocks,
    lif: Lif,
    readout: NDArray[np.int64],
) -> tuple[Tensor, Tensor]:
    """The operator of ``tilewire.kernels.rsnn.rsnn`` on the CPU, float32 or float64.

    Raises ``UsageError`` for other devices and types.
    """
    if w_in.device.type != "cpu" or w_in.dtype not in (torch.float32, torch.float64):
        raise UsageError(
            f"the numba tier runs float32 and float64 on the cpu, not {w_in.dtype} on {w_in.device}",
            hint="use tier='reference'",
        )
    result: tuple[Tensor, Tensor] = EventDriven.apply(  # type: ignore[no-untyped-call]
        w_in, w_rec, events, inputs, recurrent, lif, readout
    )
    return result
