"""Sizing on chips whose tile outputs are narrow, and of nets that leave by more lines than enter any tile."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import HardwareError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.check import check_mapping
from tilewire.mapping.negotiated import negotiate
from tilewire.mapping.negotiated_sizing import size_negotiated, size_nets
from tilewire.mapping.nets import Nets
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.routing import map_nets
from tilewire.mapping.sizing import size_one_turn
from tilewire.mapping.trees import loads

FAMILY = {"mosaic": mosaic, "mesh": mesh}


@st.composite
def cases(draw):
    """A fabric with tile outputs of any width, and nets that may all leave one tile for many."""
    make = FAMILY[draw(st.sampled_from(sorted(FAMILY)))]
    grid, size = (draw(st.integers(1, 3)), draw(st.integers(2, 3))), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    tiles = grid[0] * grid[1]
    wired = rng.random((tiles * size, tiles)) < draw(st.sampled_from([0.05, 0.2, 0.5]))
    if draw(st.booleans()):
        wired[size:] = False  # one tile speaks, the others listen
    nets = Nets.of(Connectivity.of(*np.nonzero(wired), tiles * size, tiles))
    fabric = make(grid, size, tile_out=draw(st.integers(0, size)))
    return make, fabric, nets, (np.arange(tiles * size) // size).astype(np.int32)


def ample(make, fabric, width):
    return make(fabric.grid, fabric.neurons_per_tile, router=fabric.n_neurons, tile_in=fabric.n_neurons, tile_out=width)


@given(cases(), st.booleans())
@settings(deadline=None, max_examples=150)
def test_a_size_carries_the_nets_or_no_widths_do(case, sized):
    make, fabric, nets, placement = case
    branches, own = nets.on_tiles(placement), int(fabric.capacity[fabric.link_class == 2].max())
    try:
        size, trees = size_negotiated(fabric, branches, placement, tile_out_sized=sized, rng=np.random.default_rng(0))
    except HardwareError:
        assert not sized
        wide = ample(make, fabric, own)
        assert negotiate(wide, branches, placement, capacity=wide.capacity, rng=np.random.default_rng(1)).overuse
        return
    assert sized or size.tile_out == own
    chip = make(fabric.grid, fabric.neurons_per_tile, router=size.router, tile_in=size.tile_in, tile_out=size.tile_out)
    assert check_mapping(chip, nets.branches, nets.group, placement, trees.ptr, trees.link, merging=True).fits
    assert chip.memory().total == size.memory_devices
    for name, bound in size.lower_bound.items():
        assert bound <= getattr(size, name)


@given(cases())
@settings(deadline=None)
def test_fixed_paths_that_leave_by_too_many_lines_have_no_size(case):
    make, fabric, nets, placement = case
    branches, out = nets.on_tiles(placement), fabric.link_class == 2
    load = loads(fabric, route_one_turn(fabric, branches, placement))[out]
    own = int(fabric.capacity[out].max())
    if load.max(initial=0) > own:
        with pytest.raises(HardwareError, match=f"leave by {own} channels"):
            size_one_turn(fabric, branches, placement)
    else:
        size = size_one_turn(fabric, branches, placement)
        sides = size.tile_in if make is mesh else size.tile_in_sides
        chip = make(fabric.grid, fabric.neurons_per_tile, router=size.router, tile_in=sides, tile_out=size.tile_out)
        assert map_nets(chip, nets, placement).verdict == "fits"
    assert size_one_turn(fabric, branches, placement, tile_out_sized=True).tile_out == load.max(initial=0)


def test_no_chip_below_the_bound_of_a_mesh_routes_whatever_its_outputs(draw_nets, routable):
    """Outputs sized: the bound against the integer programme over all router, input and output widths."""
    fabric = mesh((1, 3), 3)
    for seed in range(4):
        nets, placement = draw_nets(fabric, 0.35, seed)
        branches = nets.on_tiles(placement)
        size, _ = size_negotiated(fabric, branches, placement, tile_out_sized=True, rng=np.random.default_rng(0))
        for router, tile_in, tile_out in np.ndindex(5, 8, 4):
            chip = mesh((1, 3), 3, router=router, tile_in=tile_in, tile_out=tile_out)
            if chip.memory().total < size.lower_bound["memory_devices"]:
                assert not routable(chip, branches, placement)


def test_four_lines_out_of_one_tile():
    """All neurons of tile 0 go to another tile each: one line enters a tile, four leave."""
    source, target = [0, 1, 2, 3], [1, 2, 3, 4]
    nets = Nets.of(Connectivity.of(source, target, 20, 5))
    placement = (np.arange(20) // 4).astype(np.int32)
    for router in ("one-turn", "negotiated"):
        size = size_nets(
            mesh((1, 5), 4), nets, placement, router=router, tile_out_sized=True, rng=np.random.default_rng(0)
        )
        assert (size.router, size.tile_out) == (4, 4)
        with pytest.raises(HardwareError, match=r"tile 0 .*local: .* leave by 3 channels"):
            size_nets(mesh((1, 5), 4, tile_out=3), nets, placement, router=router, rng=np.random.default_rng(0))
