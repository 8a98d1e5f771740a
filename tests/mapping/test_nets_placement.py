"""Nets with scattered groups are placed group by group."""

import numpy as np

from tilewire.connectivity import Connectivity
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.nets import Nets
from tilewire.mapping.nets_placement import place_nets
from tilewire.mapping.routing import map_nets


def test_every_neuron_follows_its_group() -> None:
    fabric = mosaic((2, 3), 4, router=24, tile_in=24)
    rng = np.random.default_rng(0)
    group = rng.permutation(np.arange(24) // 4).astype(np.int32)
    branches = Connectivity.of(rng.integers(0, 24, 40), rng.integers(0, 6, 40), 24, 6)
    nets = Nets.of(branches, group, rng.random(24))
    placement = place_nets(fabric, nets, fixed={0: 5}, rng=rng)
    assert set(placement[group == 0]) == {5}
    for g in range(6):
        assert np.unique(placement[group == g]).size == 1
    assert map_nets(fabric, nets, placement).verdict == "fits"
