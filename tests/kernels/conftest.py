"""Small random networks for the kernel tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif


@dataclass(frozen=True)
class Case:
    """Arguments of the operator, weights as float64 leaves."""

    events: SpikeEvents
    w_in: torch.Tensor
    inputs: Blocks
    w_rec: torch.Tensor
    recurrent: Blocks
    lif: Lif
    readout: np.ndarray

    def args(self, dtype: torch.dtype = torch.float64) -> tuple:
        """Fresh leaves of one dtype, in the order of the operator."""
        w_in, w_rec = (w.detach().to(dtype).clone().requires_grad_() for w in (self.w_in, self.w_rec))
        return self.events, w_in, self.inputs, w_rec, self.recurrent, self.lif, self.readout


def random_blocks(rng, n_sources, n_tiles, size, blocks, dead):
    """Blocks at random, unsorted, repeats allowed, a share of them dead."""
    tile = rng.integers(0, max(n_tiles, 1), blocks)
    tile[rng.random(blocks) < dead] = -1
    source = rng.integers(0, max(n_sources, 1), blocks)
    return Blocks(source.astype(np.int32), tile.astype(np.int32), n_sources, n_tiles, size)


@pytest.fixture(scope="session")
def make_case():
    """Factory: seed and sizes -> Case with a lively network."""

    def make(
        seed,
        batch=5,
        steps=7,
        channels=6,
        n_tiles=3,
        size=4,
        fan_in=5,
        dead=0.2,
        rate=0.4,
        gain=1.0,
        lif=None,
        n_out=3,
    ):
        rng = np.random.default_rng(seed)
        counts = rng.integers(1, 4, (batch, steps, channels)) * (rng.random((batch, steps, channels)) < rate)
        neurons = n_tiles * size
        inputs = random_blocks(rng, channels, n_tiles, size, channels * n_tiles, dead)
        recurrent = random_blocks(rng, neurons, n_tiles, size, fan_in * n_tiles, dead)
        w_in = torch.from_numpy(rng.normal(0.2, 0.5, (len(inputs), size)) * gain)
        w_rec = torch.from_numpy(rng.normal(0.0, 0.5, (len(recurrent), size)) * gain)
        lif = lif or Lif(0.9, 1.0, 4.0, bool(rng.integers(2)))
        readout = rng.permutation(neurons)[: min(n_out, neurons)]
        # float32 values exactly, so that every precision starts from the same weights
        w_in, w_rec = w_in.float().double(), w_rec.float().double()
        return Case(SpikeEvents.from_dense(counts), w_in, inputs, w_rec, recurrent, lif, readout)

    return make
