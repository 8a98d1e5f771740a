"""Sizing: the widths found are enough, and one channel less is not."""

import numpy as np
import pytest

from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.routing import map_nets
from tilewire.mapping.sizing import size_one_turn


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
