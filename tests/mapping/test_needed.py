"""Needed memory: the published formula of the loads, trees that fit the chip it counts, never more than any of its candidates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.needed import needed_memory, wired_out
from tilewire.mapping.nets import Nets
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.trees import loads


def needed(fabric, nets, placement, router, sized=False, own=None):
    found = needed_memory(fabric, nets, placement, router, own=own, rng=np.random.default_rng(0))
    return found.sized_output if sized else found.wired_out


@pytest.mark.parametrize("tile_out", [2, 4, 9])
def test_one_turn_by_the_published_formula(draw_nets, tile_out):
    """M = N_T (S F + S^2) + N_R0 (4c)^2 + N_R1 r^2, whatever widths the chip at hand has."""
    fabric = mosaic((2, 3), 4, router=1, tile_in=1, tile_out=tile_out)
    nets, placement = draw_nets(fabric, 0.3, 1)
    load = loads(fabric, route_one_turn(fabric, nets.on_tiles(placement), placement))
    corner, edge = (fabric.kind == fabric.kinds.index(name) for name in ("corner", "edge"))
    tile_in = [load[(fabric.link_class == 1) & (fabric.link_port == port)].max() for port in range(4)]
    ends = corner[fabric.link_source] | corner[fabric.link_target]
    c = load[(fabric.link_class == 0) & ends].max()
    inner = (edge[fabric.link_source] | edge[fabric.link_target]) & (fabric.link_class == 0)
    e = load[inner].max()
    for sized in (False, True):
        o = load[fabric.link_class == 2].max() if sized else 4
        r = max(2 * o + 2 * e, 2 * max(tile_in) + 2 * e)
        m = 6 * (4 * sum(tile_in) + 16) + corner.sum() * (4 * c) ** 2 + edge.sum() * r**2
        assert needed(fabric, nets, placement, "one-turn", sized) == m


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 99), st.sampled_from(["mosaic", "mesh"]), st.floats(0, 0.6))
def test_choice_never_costs(draw_nets, seed, family, density):
    """negotiated <= one-turn, sized <= not sized; own trees can only help."""
    fabric = {"mosaic": mosaic, "mesh": mesh}[family]((2, 3), 3, router=seed % 4, tile_in=1 + seed % 3)
    nets, placement = draw_nets(fabric, density, seed)
    found = {(r, s): needed(fabric, nets, placement, r, s) for r in ("one-turn", "negotiated") for s in (False, True)}
    assert found["negotiated", False] <= found["one-turn", False]
    assert found["one-turn", True] <= found["one-turn", False]
    assert found["negotiated", True] <= found["negotiated", False]
    own = route_one_turn(fabric, nets.on_tiles(placement), placement)
    assert needed(fabric, nets, placement, "negotiated", own=own) == found["negotiated", False]


def test_own_trees_count():
    """Two nets that meet on the fixed path and that a free choice keeps apart: the trees handed in are taken if they are cheaper."""
    fabric = mosaic((3, 3), 2)
    nets = Nets.of(Connectivity.of(np.arange(18), np.full(18, 8), 18, 9))
    placement = nets.group
    free = needed(fabric, nets, placement, "negotiated")
    fixed = needed(fabric, nets, placement, "one-turn")
    assert free < fixed


def test_no_branches_need_the_crossbars_alone():
    fabric = mosaic((2, 2), 3)
    nets = Nets.of(Connectivity.of([], [], 12, 4))
    for router in ("one-turn", "negotiated"):
        assert needed(fabric, nets, nets.group, router, sized=True) == 4 * 9
        assert needed(fabric, nets, nets.group, router) == 4 * 9 + 12 * 6**2


def test_wired_out_changes_the_outputs_alone():
    fabric = mosaic((2, 3), 5, router=2, tile_in=3, tile_out=1)
    wide = wired_out(fabric)
    out = fabric.link_class == 2
    assert (wide.capacity[out] == 5).all()
    assert np.array_equal(wide.capacity[~out], fabric.capacity[~out])
    assert (fabric.capacity[out] == 1).all()
