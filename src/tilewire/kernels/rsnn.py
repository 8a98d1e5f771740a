"""The operator: a recurrent LIF network on tiles, from spike events to spike counts and trains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tilewire.errors import UsageError
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.dispatch import choose, implementation
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif


def rsnn(
    events: SpikeEvents,
    w_in: Tensor,
    inputs: Blocks,
    w_rec: Tensor,
    recurrent: Blocks,
    lif: Lif,
    readout: NDArray[np.int64],
    tier: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Run the network and return what a loss needs, differentiable in both weights.

    v[t] = a v[t-1] + x[t] W_in + z[t-1] W_rec - threshold z[t-1];  z[t] = (v[t] > threshold); both from 0.
    dz/dv is the surrogate of ``Lif``. ``w_in`` [Pi, S] and ``w_rec`` [Pr, S] are packed as ``inputs``
    (sources = channels) and ``recurrent`` (sources = neurons) say; both float32 or both float64, one device.

    Returns ``counts`` [B, N] = sum over t of z, and ``trains`` [B, T, n_out] = z of the ``readout`` neurons.
    ``tier`` names an entry of ``dispatch.TIERS``; the default is the choice for the device.
    Raises ``UsageError`` when shapes, types or indices disagree.
    """
    columns = np.asarray(readout, np.int64)
    _check(events, w_in, inputs, w_rec, recurrent, columns)
    run = implementation(tier or choose(w_in.device.type))
    counts, trains = run(events, w_in, inputs, w_rec, recurrent, lif, columns)
    return counts, trains


def _check(
    events: SpikeEvents,
    w_in: Tensor,
    inputs: Blocks,
    w_rec: Tensor,
    recurrent: Blocks,
    readout: NDArray[np.int64],
) -> None:
    """Raise ``UsageError`` for the disagreements of the arguments, all at once."""
    faults = [
        f"{name} is {list(weight.shape)}, its blocks need {[len(blocks), blocks.tile_size]}"
        for name, weight, blocks in (("w_in", w_in, inputs), ("w_rec", w_rec, recurrent))
        if list(weight.shape) != [len(blocks), blocks.tile_size]
    ]
    if (inputs.n_tiles, inputs.tile_size) != (recurrent.n_tiles, recurrent.tile_size):
        faults.append(
            f"inputs reach {inputs.n_tiles} tiles of {inputs.tile_size}, "
            f"recurrent {recurrent.n_tiles} of {recurrent.tile_size}"
        )
    if inputs.n_sources != events.channels:
        faults.append(f"events have {events.channels} channels, input blocks {inputs.n_sources} sources")
    if recurrent.n_sources != recurrent.neurons:
        faults.append(f"recurrent blocks have {recurrent.n_sources} sources for {recurrent.neurons} neurons")
    if w_in.dtype != w_rec.dtype or w_in.device != w_rec.device or not w_in.is_floating_point():
        faults.append(f"w_in is {w_in.dtype} on {w_in.device}, w_rec {w_rec.dtype} on {w_rec.device}")
    if readout.ndim != 1 or (readout.size and not 0 <= readout.min() <= readout.max() < recurrent.neurons):
        faults.append(f"readout must be a list of neurons below {recurrent.neurons}")
    if faults:
        raise UsageError("; ".join(faults), where="rsnn")
