"""W1: one training step of a tiled recurrent LIF network; the workload and our own contestants.

N = tiles * size LIF neurons, round(density * N * tiles) distinct (neuron, tile) branches drawn uniformly, dense
inputs, Bernoulli events. Loss: cross-entropy of the spike counts of the last ``classes`` neurons, plus
0.1 (1 - 10 mean rate)^2. A step is forward, backward and Adam. The recurrent weight scale is found so
that the mean rate is ``rate``; where the inputs alone fire more than that, the network has no recurrent drive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.kernels.rsnn import rsnn

Step = Callable[[], float]
"""One training step; returns the loss before it."""


@dataclass(frozen=True)
class Workload:
    """Sizes and rates of W1: ``batch`` B, ``steps`` T, ``channels`` I, ``tiles`` of ``size`` neurons, ``density`` of
    branches, ``input_rate`` and ``rate`` in events per step, time constant ``tau`` in steps.
    """

    batch: int = 128
    steps: int = 100
    channels: int = 140
    tiles: int = 32
    size: int = 32
    density: float = 0.05
    input_rate: float = 0.03
    rate: float = 0.03
    tau: float = 20.0
    slope: float = 10.0
    classes: int = 20
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Network:
    """The network of a workload with its first weights ``w_in`` [I * tiles, S] and ``w_rec`` [P, S]."""

    workload: Workload
    events: SpikeEvents
    labels: Tensor
    inputs: Blocks
    recurrent: Blocks
    w_in: Tensor
    w_rec: Tensor
    lif: Lif

    @property
    def readout(self) -> NDArray[np.int64]:
        """The output neurons: the last ones."""
        return np.arange(self.recurrent.neurons - self.workload.classes, self.recurrent.neurons)

    def loss(self, counts: Tensor) -> Tensor:
        """Loss of the spike counts [B, N]."""
        logits = counts[:, -self.workload.classes :].float()
        return cross_entropy(logits, self.labels) + 0.1 * (1 - 10 * counts.mean() / self.workload.steps) ** 2


def build(workload: Workload) -> Network:
    """Draw events, branches and weights; set the recurrent scale to the wanted rate."""
    rng = np.random.default_rng(workload.seed)
    tiles, size = workload.tiles, workload.size
    neurons = tiles * size
    shape = (workload.batch, workload.steps, workload.channels)
    events = SpikeEvents.from_dense(rng.random(shape, np.float32) < workload.input_rate)
    pairs = np.sort(rng.choice(neurons * tiles, round(workload.density * neurons * tiles), replace=False))
    recurrent = Blocks((pairs // tiles).astype(np.int32), (pairs % tiles).astype(np.int32), neurons, tiles, size)
    every = np.arange(workload.channels * tiles, dtype=np.int32)
    inputs = Blocks(every // tiles, every % tiles, workload.channels, tiles, size)
    drive = 0.30 / math.sqrt(workload.channels * workload.input_rate)
    w_in = torch.from_numpy(rng.normal(0, drive, (len(inputs), size)).astype(np.float32))
    shape_rec = torch.from_numpy(rng.normal(0, 1, (len(recurrent), size)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, workload.classes, workload.batch))
    lif = Lif(math.exp(-1 / workload.tau), 1.0, workload.slope)
    network = Network(workload, events, labels, inputs, recurrent, w_in, shape_rec, lif)
    scale = _scale(network)
    return Network(workload, events, labels, inputs, recurrent, w_in, shape_rec * scale, lif)


def _scale(network: Network) -> float:
    """Recurrent scale, 0 to 1, whose mean rate is nearest to the wanted one; the rate rises with it."""

    def rate(scale: float) -> float:
        parts = (network.w_in, network.inputs, network.w_rec * scale, network.recurrent)
        counts, _ = rsnn(network.events, *parts, network.lif, network.readout)
        return float(counts.mean()) / network.workload.steps

    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if rate(middle) < network.workload.rate else (low, middle)
    return low


def trained(parameters: Iterable[Tensor], loss: Callable[[], Tensor]) -> Step:
    """A training step with Adam on the given leaves."""
    optimiser = torch.optim.Adam(list(parameters), lr=1e-3)

    def step() -> float:
        optimiser.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(value.detach())

    return step


def own(network: Network, tier: str) -> Step:
    """Our operator in one of its tiers."""
    w_in, w_rec = (w.clone().requires_grad_() for w in (network.w_in, network.w_rec))

    def loss() -> Tensor:
        counts, _ = rsnn(
            network.events, w_in, network.inputs, w_rec, network.recurrent, network.lif, network.readout, tier
        )
        return network.loss(counts)

    return trained([w_in, w_rec], loss)


OWN: dict[str, Callable[[Network], Step]] = {
    "tilewire": lambda network: own(network, "numba"),
    "tilewire-portable": lambda network: own(network, "reference"),
}
"""Our contestants; the peers are in ``tilewire.bench.w1_peers.PEERS``."""

GROWTH: dict[str, tuple[Workload, ...]] = {
    "neurons": tuple(Workload(tiles=tiles, steps=50) for tiles in (16, 32, 64, 128)),
    "density": tuple(Workload(density=density) for density in (0.001, 0.02, 0.05, 0.10, 0.20)),
    "steps": tuple(Workload(steps=steps) for steps in (50, 100, 200)),
    "rate": tuple(Workload(input_rate=rate, rate=rate) for rate in (0.01, 0.03, 0.10)),
    "channels": tuple(Workload(channels=channels) for channels in (140, 700)),
}
"""What the growth table varies, one line of it each."""
