"""Networks and fabrics that the mapping tests share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.nets import Nets

Draw = Callable[[TileFabric, float, int], tuple[Nets, np.ndarray]]


@pytest.fixture(scope="session")
def draw_nets() -> Draw:
    """(fabric, density, seed) -> random nets and a random placement of their groups."""

    def draw(fabric: TileFabric, density: float, seed: int) -> tuple[Nets, np.ndarray]:
        rng = np.random.default_rng(seed)
        source, group = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < density)
        nets = Nets.of(Connectivity.of(source, group, fabric.n_neurons, fabric.n_tiles))
        tile_of_group = rng.permutation(fabric.n_tiles).astype(np.int32)
        return nets, tile_of_group[nets.group]

    return draw
