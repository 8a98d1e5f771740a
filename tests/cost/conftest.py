"""A small network on two kinds of fabric, mapped and simulated."""

from dataclasses import dataclass

import numpy as np
import pytest

from tilewire.data.record import EventPack
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.lif import Lif
from tilewire.mapping.nets import Nets
from tilewire.mapping.routing import Mapping, map_nets
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.simulate import Activity, simulate

FAMILIES = {"mosaic": mosaic, "mesh": mesh}


@dataclass(frozen=True)
class Design:
    """A mapped network and what it did."""

    network: TiledRSNN
    nets: Nets
    mapping: Mapping
    data: EventPack
    activity: Activity


def draw(family: str, grid=(3, 4), s=6, density=0.2, seed=0, samples=40, steps=9, channels=12) -> Design:
    """Random branches of one density at every distance, random input."""
    rng = np.random.default_rng(seed)
    fabric = FAMILIES[family](grid, s)
    own = np.arange(fabric.n_neurons) // s
    source, tile = np.nonzero(
        (own[:, None] != np.arange(fabric.n_tiles)) & (rng.random((own.size, fabric.n_tiles)) < density)
    )
    law = AboveThreshold(0.1, 1.0)
    network = TiledRSNN(fabric, TiledSpec(channels, 2), Lif(0.8), source.size, law, rng)
    network.branches.source[:], network.branches.tile[:] = source, tile
    network.branch_weight[:] = law((source.size, s), rng)
    nets = Nets.of(network.live_branches())
    mapping = map_nets(fabric, nets, nets.group, rng=rng)
    data = EventPack.from_dense(
        rng.integers(0, 3, (samples, steps, channels)).astype(np.uint8), np.zeros(samples, np.int64)
    )
    return Design(network, nets, mapping, data, simulate(network, mapping.trees, mapping.placement, data))


@pytest.fixture(scope="session")
def designs() -> dict[str, Design]:
    """One simulated design per family."""
    return {name: draw(name) for name in FAMILIES}
