"""Explanations: the fixes they offer do fix."""

import numpy as np
import pytest

from tilewire.connectivity import Connectivity
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.explain import explain
from tilewire.mapping.nets import Nets
from tilewire.mapping.placement import by_index
from tilewire.mapping.routing import map_nets


def test_the_worst_port_and_its_nets_by_hand():
    fabric = mosaic((1, 3), 2, router=4, tile_in={"north": 2, "east": 2, "south": 2, "west": 1})
    pairs = [(0, 1), (1, 1), (4, 1)]
    nets = Nets.of(Connectivity.of(*np.array(pairs).T, 6, 3))
    mapping = map_nets(fabric, nets, by_index(6, fabric))
    why = explain(fabric, nets, mapping)
    assert why.violation.where == "tile 1 (row 0, column 1), port in west"
    assert why.nets == (0, 1)
    assert why.without in (((0, 1),), ((1, 1),))
    assert "2 nets on 1 channels" in str(why)
    assert why.wider_devices == mosaic((1, 3), 2, router=4, tile_in=2).memory().total
    assert why.summary()["nets"] == [0, 1]


@pytest.mark.parametrize("router", ["one-turn", "negotiated"])
@pytest.mark.parametrize("seed", range(4))
def test_fewer_branches_do_fit(draw_nets, router, seed):
    fabric = mosaic((3, 3), 4, router=2, tile_in=4)
    nets, placement = draw_nets(fabric, 0.3, seed)
    mapping = map_nets(fabric, nets, placement, router=router)
    why = explain(fabric, nets, mapping)
    if why is None:
        assert mapping.verdict == "fits"
        return
    pairs = set(zip(nets.branches.source.tolist(), nets.branches.target.tolist(), strict=True))
    assert set(why.without) <= pairs
    rest = np.array(sorted(pairs - set(why.without))).reshape(-1, 2)
    fewer = Nets.of(Connectivity.of(rest[:, 0], rest[:, 1], fabric.n_neurons, fabric.n_tiles))
    if router == "one-turn":
        assert map_nets(fabric, fewer, placement).verdict == "fits"
    else:
        assert map_nets(fabric, fewer, placement, router=router).verdict != "infeasible"


def test_exchange_of_groups_is_as_good_as_it_says(draw_nets):
    fabric = mosaic((2, 3), 4, router=3, tile_in=3)
    nets, placement = draw_nets(fabric, 0.4, 0)
    why = explain(fabric, nets, map_nets(fabric, nets, placement))
    assert why.exchange is not None
    one, other, left = why.exchange
    tiles = nets.tile_of_group(placement)
    tiles[[one, other]] = tiles[[other, one]]
    again = map_nets(fabric, nets, tiles[nets.group])
    assert sum(v.load - v.limit for v in again.violations) == left
