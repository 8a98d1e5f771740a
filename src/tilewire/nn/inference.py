"""Inference of a tiled network in the defined arithmetic: float64 sums in ascending source order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tilewire.data.augment import batch
from tilewire.data.record import EventPack
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.numba_infer import count_flips, infer
from tilewire.kernels.rsnn import rsnn
from tilewire.nn.memristor import Memristor
from tilewire.nn.readout import Readout
from tilewire.nn.tiled import TiledRSNN

BATCH = 128


@dataclass(frozen=True, eq=False)
class Inference:
    """``scores`` float [samples, classes], mean ``rate`` [neurons] in spikes per step, and ``flips``: spikes that the float32
    training arithmetic gives differently (None if that was not asked for).
    """

    scores: NDArray[np.float64]
    rate: NDArray[np.float64]
    flips: int | None


def infer_network(
    network: TiledRSNN,
    readout: Readout,
    data: EventPack,
    *,
    threads: int = 1,
    flips: bool = False,
    memristor: Memristor | None = None,
    rng: np.random.Generator | None = None,
) -> Inference:
    """Run all samples; ``flips`` also runs the training arithmetic beside it and counts where they differ.

    The weights are those of the network as numbers, or as ``memristor`` makes them: programmed once, noise from ``rng`` if it is given.
    """
    first, second = (weight.detach() for weight in network.programmed(memristor, rng))
    w_in, w_rec = first.numpy(), second.numpy()
    scores, total, differ = [], np.zeros(network.fabric.n_neurons), 0
    for start in range(0, len(data), BATCH):
        events = batch(data, np.arange(start, min(start + BATCH, len(data))))
        spikes = infer(events, w_in, network.inputs, w_rec, network.recurrent, network.lif, threads=threads)
        counts, trains = _dense(spikes, network)
        scores.append(readout(counts, trains).numpy())
        total += counts.numpy().sum(axis=0)
        differ += _flips(network, first, second, events, spikes) if flips else 0
    return Inference(np.concatenate(scores), total / (len(data) * data.steps), differ if flips else None)


def _dense(spikes: SpikeEvents, network: TiledRSNN) -> tuple[torch.Tensor, torch.Tensor]:
    """Spike counts [B, N] and output trains [B, T, n_out] in float64."""
    column = np.full(network.fabric.n_neurons, -1)
    column[network.readout] = np.arange(network.readout.size)
    trains = np.zeros((spikes.batch * spikes.steps, network.readout.size))
    out = column[spikes.channel] >= 0
    trains[spikes.cells()[out], column[spikes.channel[out]]] = 1.0
    shaped = trains.reshape(spikes.batch, spikes.steps, -1)
    return torch.from_numpy(spikes.totals().astype(np.float64)), torch.from_numpy(shaped)


def _flips(
    network: TiledRSNN, w_in: torch.Tensor, w_rec: torch.Tensor, events: SpikeEvents, spikes: SpikeEvents
) -> int:
    everyone = np.arange(network.fabric.n_neurons)
    with torch.no_grad():
        _, trains = rsnn(
            events, w_in, network.inputs, w_rec, network.recurrent, network.lif, everyone, tier=network.tier
        )
    return count_flips(trains.numpy(), spikes)
