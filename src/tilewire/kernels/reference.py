"""Tier 0: the tiled recurrent LIF network in plain torch, on any device; the oracle of the other tiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif


class Spike(torch.autograd.Function):
    """z = (v > threshold), or the forced spikes; backward dz/dv = 1 / (1 + slope |v - threshold|)^2."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, forced: Tensor | None, threshold: float, slope: float) -> Tensor:
        """Spikes of the potentials ``v``, any shape."""
        ctx.save_for_backward(v)
        ctx.threshold, ctx.slope = threshold, slope
        return (v > threshold).to(v.dtype) if forced is None else forced.to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        """Gradient for ``v`` through the surrogate; forced spikes change the values, not the rule."""
        (v,) = ctx.saved_tensors
        return grads[0] / (1.0 + ctx.slope * (v - ctx.threshold).abs()) ** 2, None, None, None


class TileGather:
    """``sources [B, n_sources] -> drive [B, N]`` through blocks, as one batched product over the tiles.

    Every tile gathers its sources into a row padded to the largest fan-in K; the pad points at a zero weight
    row. Cost B * n_tiles * K * S; nothing of size N x N exists.
    """

    def __init__(self, blocks: Blocks, weight: Tensor) -> None:
        """Lay out ``weight`` [P, S] as [n_tiles, K, S] (differentiable)."""
        by_tile = blocks.by_tile()
        fan_in = np.diff(by_tile.ptr)
        slot = np.full((blocks.n_tiles, int(fan_in.max(initial=0))), len(blocks), np.int64)
        slot[np.arange(slot.shape[1]) < fan_in[:, None]] = by_tile.block
        source = np.append(blocks.source.astype(np.int64), 0)[slot]
        padded = torch.cat([weight, weight.new_zeros(1, blocks.tile_size)])
        self.weight = padded[torch.from_numpy(slot).to(weight.device)]
        self.source = torch.from_numpy(source).to(weight.device)

    def __call__(self, sources: Tensor) -> Tensor:
        """Drive of all neurons, [B, N]."""
        n_tiles, _, size = self.weight.shape
        gathered = sources[:, self.source].transpose(0, 1)
        return torch.bmm(gathered, self.weight).transpose(0, 1).reshape(len(sources), n_tiles * size)


def rsnn_reference(
    events: SpikeEvents,
    w_in: Tensor,
    inputs: Blocks,
    w_rec: Tensor,
    recurrent: Blocks,
    lif: Lif,
    readout: NDArray[np.int64],
    *,
    spikes: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The operator of ``tilewire.kernels.rsnn.rsnn``; gradients by torch autograd with the surrogate.

    ``spikes`` [B, T, N] forces z[t] (teacher forcing): v follows from the forced spikes and the surrogate
    still acts at that v. Tiers can then be compared although rounding near the threshold flips spikes.
    """
    x = torch.from_numpy(events.to_dense()).to(w_in)
    drive_in, drive_rec = TileGather(inputs, w_in), TileGather(recurrent, w_rec)
    v = w_rec.new_zeros(events.batch, recurrent.neurons)
    z = torch.zeros_like(v)
    columns = torch.from_numpy(np.asarray(readout, np.int64)).to(w_in.device)
    counts, trains = torch.zeros_like(v), []
    for step, x_now in enumerate(x.unbind(1)):
        reset = z if lif.reset_gradient else z.detach()
        v = lif.leak * v + drive_in(x_now) + drive_rec(z) - lif.threshold * reset
        forced = None if spikes is None else spikes[:, step]
        z = Spike.apply(v, forced, lif.threshold, lif.slope)  # type: ignore[no-untyped-call]
        counts = counts + z
        trains.append(z[:, columns])
    return counts, torch.stack(trains, dim=1)
