"""Sizing: the widths found are enough, and one channel less is not."""

import numpy as np
import pytest

from tilewire.errors import HardwareError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.check import check_mapping
from tilewire.mapping.negotiated_sizing import size_negotiated, size_nets
from tilewire.mapping.routing import map_nets
from tilewire.mapping.sizing import blocked_links, size_one_turn


@pytest.mark.parametrize("grid", [(2, 2), (3, 5), (4, 1)])
def test_one_turn_size_is_exact(draw_nets, grid):
    fabric = mosaic(grid, 5)
    nets, placement = draw_nets(fabric, 0.4, 5)
    size = size_one_turn(fabric, nets.on_tiles(placement), placement)
    assert size.tile_in == max(size.tile_in_sides.values())
    assert size.tile_out == 5
    chip = mosaic(grid, 5, router=size.router, tile_in=size.tile_in_sides)
    assert map_nets(chip, nets, placement).verdict == "fits"
    assert chip.memory().total == size.memory_devices == size.lower_bound["memory_devices"]
    if size.router:
        assert map_nets(mosaic(grid, 5, router=size.router - 1), nets, placement).verdict == "infeasible"
    for side, width in size.tile_in_sides.items():
        if width:
            narrow = mosaic(grid, 5, router=size.router, tile_in={**size.tile_in_sides, side: width - 1})
            assert map_nets(narrow, nets, placement).verdict == "infeasible"


def test_sized_tile_outputs_remove_the_floor(draw_nets):
    fabric = mosaic((3, 3), 16)
    nets, placement = draw_nets(fabric, 0.05, 1)
    branches = nets.on_tiles(placement)
    free, sized = (size_one_turn(fabric, branches, placement, tile_out_sized=flag) for flag in (False, True))
    assert sized.tile_out < free.tile_out
    assert sized.memory_devices < free.memory_devices
    chip = mosaic((3, 3), 16, router=sized.router, tile_in=sized.tile_in_sides, tile_out=sized.tile_out)
    assert map_nets(chip, nets, placement).verdict == "fits"
    assert chip.memory().total == sized.memory_devices


def test_no_branches_need_no_channels():
    fabric = mosaic((2, 2), 3)
    nets_free = size_one_turn(fabric, _empty(fabric), (np.arange(12) // 3).astype(np.int32))
    assert (nets_free.router, nets_free.tile_in) == (0, 0)


def _empty(fabric):
    from tilewire.connectivity import Connectivity

    return Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles)


@pytest.mark.parametrize(("grid", "sized"), [((2, 2), False), ((3, 2), False), ((2, 3), True)])
def test_negotiated_size_routes_and_its_bound_holds(draw_nets, grid, sized):
    fabric = mosaic(grid, 6)
    nets, placement = draw_nets(fabric, 0.35, 3)
    branches = nets.on_tiles(placement)
    size, trees = size_negotiated(fabric, branches, placement, tile_out_sized=sized, rng=np.random.default_rng(0))
    chip = mosaic(grid, 6, router=size.router, tile_in=size.tile_in, tile_out=size.tile_out)
    assert chip.memory().total == size.memory_devices
    check = check_mapping(chip, nets.branches, nets.group, placement, trees.ptr, trees.link, merging=True)
    assert check.fits
    assert size.lower_bound["memory_devices"] <= size.memory_devices
    assert size.lower_bound["router"] <= size.router
    assert size.lower_bound["tile_in"] <= size.tile_in
    fixed = size_one_turn(fabric, branches, placement)
    assert size.memory_devices <= mosaic(grid, 6, router=fixed.router, tile_in=fixed.tile_in).memory().total


def test_no_smaller_chip_of_a_tiny_grid_routes(draw_nets, routable):
    """Least memory against the integer programme over all smaller widths."""
    fabric = mosaic((1, 3), 3)
    nets, placement = draw_nets(fabric, 0.6, 7)
    branches = nets.on_tiles(placement)
    size, _ = size_negotiated(fabric, branches, placement, rng=np.random.default_rng(0))
    for router in range(4):
        for tile_in in range(8):
            chip = mosaic((1, 3), 3, router=router, tile_in=tile_in)
            if chip.memory().total < size.lower_bound["memory_devices"]:
                assert not routable(chip, branches, placement)


@pytest.mark.parametrize("router", ["one-turn", "negotiated"])
def test_sizes_by_router_name_on_a_mesh(draw_nets, router):
    fabric = mesh((3, 2), 4)
    nets, placement = draw_nets(fabric, 0.4, 2)
    size = size_nets(fabric, nets, placement, router=router, rng=np.random.default_rng(0))
    chip = mesh((3, 2), 4, router=size.router, tile_in=size.tile_in)
    assert map_nets(chip, nets, placement, router=router).verdict == "fits"
    assert size.memory_devices <= chip.memory().total  # one-turn sizes each side of its routers
    with pytest.raises(UsageError, match="one-turn"):
        size_nets(fabric, nets, placement, router="one-trun", rng=np.random.default_rng(0))


def blocked_chip(grid, size, **ports):
    from tilewire.hardware.blocked import Blocked, block

    entries = [Blocked(tile=place, port=port) for place, port in ports.get("tiles", ())]
    entries += [Blocked(router=place, port=port) for place, port in ports.get("routers", ())]
    return lambda **width: block(mosaic(grid, size, **width), entries)


def test_blocked_ports_stay_blocked_at_any_width(draw_nets):
    chip_of = blocked_chip((2, 3), 6, tiles=[((0, 1), "north")], routers=[((1, 2), "east"), ((2, 2), "south")])
    fabric = chip_of()
    nets, placement = draw_nets(fabric, 0.5, 3)
    branches = nets.on_tiles(placement)
    size, trees = size_negotiated(fabric, branches, placement, rng=np.random.default_rng(0))
    chip = chip_of(router=size.router, tile_in=size.tile_in)
    check = check_mapping(chip, nets.branches, nets.group, placement, trees.ptr, trees.link, merging=True)
    assert check.fits
    assert chip.memory().total == size.memory_devices >= size.lower_bound["memory_devices"]
    with pytest.raises(HardwareError, match="no channel widths"):  # fixed paths have no way round
        size_one_turn(fabric, branches, placement)
    open_size, _ = size_negotiated(mosaic((2, 3), 6), branches, placement, rng=np.random.default_rng(0))
    assert open_size.lower_bound["memory_devices"] <= size.memory_devices
    assert size.lower_bound["tile_in"] >= -(-int(branches.without_own(placement).fan_in[1]) // 3)


def test_a_tile_closed_on_all_sides_has_no_size(draw_nets):
    sides = ("north", "east", "south", "west")
    fabric = blocked_chip((2, 2), 4, tiles=[((0, 1), side) for side in sides])()
    nets, placement = draw_nets(fabric, 0.6, 1)
    with pytest.raises(HardwareError, match="no channel widths"):
        size_negotiated(fabric, nets.on_tiles(placement), placement, rng=np.random.default_rng(0))


def test_sides_without_channels_are_widths_not_defects():
    assert not blocked_links(mosaic((2, 2), 4, router=0, tile_in=4)).any()
    assert not blocked_links(mosaic((2, 2), 4, tile_in={"north": 0, "east": 2, "south": 2, "west": 2})).any()
    one = blocked_chip((2, 2), 4, tiles=[((1, 0), "west")])(router=0)
    assert blocked_links(one).sum() == 2  # into the tile and out of it
