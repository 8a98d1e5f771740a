"""A recurrent LIF network on tiles: dense crossbars inside a tile, branches between tiles, packed parameters."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.kernels.rsnn import rsnn
from tilewire.nn.initialise import InitialLaw
from tilewire.nn.memristor import Memristor
from tilewire.nn.roles import TiledSpec, input_blocks, roles

Ints = NDArray[np.int32]


class TiledRSNN(nn.Module):
    """Weights and wiring of a tiled recurrent LIF network.

    ``w_in`` [P_in, S] holds the input rows. ``w_rec`` [P, S] holds the own-tile crossbars first (``n_local`` rows: neuron i -> its
    tile) and then the branch slots. `branches` views the slots as a table that rewiring may change in place. Synapses among the
    output neurons of a tile are held at zero.
    """

    def __init__(
        self, fabric: TileFabric, spec: TiledSpec, lif: Lif, slots: int, law: InitialLaw, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.roles = roles(spec, fabric)
        self.fabric, self.spec, self.lif = fabric, spec, lif
        self.tier: str | None = None
        self.memristor: Memristor | None = None
        s, n = fabric.neurons_per_tile, fabric.n_neurons
        self.inputs = input_blocks(spec, fabric, self.roles.input_tiles)
        neurons = np.arange(n, dtype=np.int32)
        local = neurons[~np.isin(neurons // s, self.roles.input_tiles)]
        self.n_local = int(local.size)
        self._source = np.concatenate([local, np.zeros(slots, np.int32)])
        self._tile = np.concatenate([local // s, np.full(slots, DEAD, np.int32)]).astype(np.int32)
        self.recurrent = Blocks(self._source, self._tile, n, fabric.n_tiles, s)
        self.readout = self.roles.output_neurons
        self.register_buffer("audible", torch.from_numpy(self._audible(local)), persistent=False)
        w_rec = np.zeros((self.n_local + slots, s), np.float32)
        w_rec[: self.n_local] = law((self.n_local, s), rng)
        self.w_in = nn.Parameter(torch.from_numpy(law((len(self.inputs), s), rng)))
        self.w_rec = nn.Parameter(torch.from_numpy(w_rec))
        with torch.no_grad():
            self.w_rec[: self.n_local].mul_(self._mask)

    def _audible(self, local: Ints) -> NDArray[np.float32]:
        """1 for own-tile synapses that exist, 0 between output neurons: float32 [n_local, S]."""
        s = self.fabric.neurons_per_tile
        read = np.isin(np.arange(self.fabric.n_neurons), self.readout)
        target = (local // s * s)[:, None] + np.arange(s)
        audible: NDArray[np.float32] = (~(read[local][:, None] & read[target])).astype(np.float32)
        return audible

    @property
    def _mask(self) -> Tensor:
        return self.get_buffer("audible")

    @property
    def branches(self) -> Blocks:
        """The branch slots, sharing memory with the network's wiring."""
        n = self.fabric.n_neurons
        return Blocks(
            self._source[self.n_local :],
            self._tile[self.n_local :],
            n,
            self.fabric.n_tiles,
            self.fabric.neurons_per_tile,
        )

    @property
    def branch_weight(self) -> NDArray[np.float32]:
        """Weights of the branch slots, float32 [slots, S], sharing memory with ``w_rec``."""
        view: NDArray[np.float32] = self.w_rec.detach().numpy()[self.n_local :]
        return view

    def live_branches(self) -> Connectivity:
        """The branches between tiles as a connectivity."""
        table = self.branches
        live = table.tile != DEAD
        return Connectivity.of(table.source[live], table.tile[live], table.n_sources, table.n_tiles)

    def parameters_used(self) -> int:
        """Trainable synapses: input rows, own-tile crossbars without the silent entries, live branches."""
        live = int((self._tile[self.n_local :] != DEAD).sum())
        return self.w_in.numel() + int(self._mask.sum()) + live * self.fabric.neurons_per_tile

    def weights(self) -> Tensor:
        """Recurrent weights [P, S] with the silent synapses at zero."""
        return torch.cat([self.w_rec[: self.n_local] * self._mask, self.w_rec[self.n_local :]])

    def programmed(self, memristor: Memristor | None, rng: np.random.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Input and recurrent weights as ``memristor`` makes them, noise from ``rng`` if given; None: the weights as they are."""
        w_in, w_rec = self.w_in, self.weights()
        if memristor is None:
            return w_in, w_rec
        return memristor(w_in, self.inputs.tile, rng), memristor(w_rec, self.recurrent.tile, rng)

    def forward(self, events: SpikeEvents, rng: np.random.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Spike counts [B, N] and spike trains [B, T, n_out] of the output neurons; noise of the ``memristor``, if any, from ``rng``."""
        w_in, w_rec = self.programmed(self.memristor, rng)
        return rsnn(events, w_in, self.inputs, w_rec, self.recurrent, self.lif, self.readout, tier=self.tier)
