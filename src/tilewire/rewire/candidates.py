"""What the loss wants of branches that do not exist: the gradient that their weights would get at zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewire.connectivity import Connectivity
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.rsnn import rsnn
from tilewire.nn.tiled import TiledRSNN

Loss = Callable[[Tensor, Tensor], Tensor]
"""Spike counts [B, N] and output trains [B, T, n_out] -> the loss, a scalar."""


def branch_gradient(
    network: TiledRSNN, events: SpikeEvents, loss: Loss, absent: Connectivity, chunk: int | None = None
) -> NDArray[np.float64]:
    """How strongly one batch asks for each absent branch, float64 [branches] in the order of ``absent``.

        g_it = || dL/dw_ij ||_2 over the neurons j of tile t,   dL/dw_ij = sum over samples and steps of z_i[t-1] dL/dv_j[t]

    Exact, not an estimate: every candidate gets a slot of zero weights beside the network's own, which changes no spike, and the
    kernel's backward pass fills its gradient. ``chunk`` slots at a time (default: as many as the network has), one forward and
    backward pass each, so memory stays within twice a training step's. Neither the network nor any ``grad`` changes.
    """
    size = network.fabric.neurons_per_tile
    own = network.recurrent
    w_in, weight = (one.detach() for one in network.programmed(network.memristor))
    step = chunk or max(len(own), 1)
    parts = [np.zeros(0)]
    for start in range(0, len(absent), step):
        source, tile = absent.source[start : start + step], absent.target[start : start + step]
        trial = torch.zeros(source.size, size, dtype=weight.dtype, device=weight.device, requires_grad=True)
        blocks = Blocks(
            np.concatenate([own.source, source]), np.concatenate([own.tile, tile]), own.n_sources, own.n_tiles, size
        )
        with torch.enable_grad():
            counts, trains = rsnn(
                events, w_in, network.inputs, torch.cat([weight, trial]), blocks, network.lif, network.readout, network.tier
            )  # fmt: skip
            (gradient,) = torch.autograd.grad(loss(counts, trains), trial)
        parts.append(gradient.double().norm(dim=1).cpu().numpy())
    return np.concatenate(parts)
