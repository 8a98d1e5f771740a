"""Device memory as a budget: the formula by hand, width classes against the formula, what costs and what is free."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.memory_budget import DeviceMemory
from tilewire.mapping.smallest_chip import SmallestChip


def groups_of(fabric):
    return (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)


def nothing(fabric):
    return Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles)


def row_of_three(f, c, o, t, e, s=4):
    """M of a 1 x 3 Mosaic of S = 4: 3 tiles, 8 corner and 10 edge routers."""
    return 3 * (s * f + s * s) + 8 * (4 * c) ** 2 + 10 * max(2 * o + 2 * e, 2 * t + 2 * e) ** 2


@pytest.mark.parametrize("negotiated", [False, True])
@pytest.mark.parametrize("sized", [False, True])
def test_by_hand(sized, negotiated):
    fabric = mosaic((1, 3), 4, router=4, tile_in=4)
    out = 0 if sized else 4
    state = DeviceMemory(fabric, groups_of(fabric), 10_000, sized, negotiated).start(nothing(fabric))
    assert state.devices == row_of_three(f=0, c=0, o=out, t=0, e=0)
    state.add(0, 1)  # neuron 0 of tile 0 enters tile 1 from the west: one line on one side, on every tile
    one = row_of_three(f=1, c=0, o=out or 1, t=1, e=0)
    assert state.devices == one
    state.add(4, 2)  # tile 1 into tile 2, from the west too: inside the widths, free
    assert state.devices == one
    state.add(4, 0)  # from the east: another side
    assert state.devices == row_of_three(f=2, c=0, o=out or 1, t=1, e=0)
    state.add(1, 1)  # a second line on the west side
    assert state.devices == row_of_three(f=3, c=0, o=out or 2, t=2, e=0)
    state.remove(1, 1)
    state.remove(4, 0)
    assert state.devices == one, "widths shrink with the loads"
    state.add(2, 2)  # over a router-to-router path
    assert state.devices > one + 8 * 16, "every corner router is counted at the widest"


@pytest.mark.parametrize("negotiated", [False, True])
def test_the_last_device_decides(negotiated):
    fabric = mosaic((1, 3), 4, router=4, tile_in=4)
    need = row_of_three(f=2, c=0, o=4, t=1, e=0)
    for devices, admitted in ((need, True), (need - 1, False)):
        state = DeviceMemory(fabric, groups_of(fabric), devices, False, negotiated).start(nothing(fabric))
        state.add(0, 1)
        assert state.admits(5, 2)
        assert state.admits(5, 0) == admitted
        assert not state.admits(6, 1) or fabric.neurons_per_tile == 4  # own tile: always admitted, costs nothing
        assert state.excess().name(fabric.n_links) == "device memory"
    if negotiated:
        with pytest.raises(BudgetError, match="no affordable path"):
            state.add(5, 0)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([mosaic, mesh]),
    st.tuples(st.integers(1, 4), st.integers(2, 4)),
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 1 << 30),
)
def test_width_classes_count_what_the_formula_counts(family, grid, size, sized, seed):
    rng = np.random.default_rng(seed)
    fabric = family(grid, size)
    chip = SmallestChip(fabric, sized)
    for _ in range(6):
        load = rng.integers(0, rng.integers(1, size + 2), fabric.n_links) * (rng.random(fabric.n_links) < rng.random())
        width = chip.widths(load)
        need = fabric.memory(fabric.widths_for(load, tile_out_sized=sized)).total
        assert chip.devices(width) == need
        wide = chip.closed(width)
        assert chip.devices(wide) == need
        assert (wide >= width).all()
        for k in range(chip.n_classes):
            more = wide.copy()
            more[k] += 1
            assert chip.devices(more) > need or more[k] > chip.top[k]
            assert chip.marginal(width)[k] >= 0


def test_published_chip_is_its_own_smallest():
    """The three published totals through the classes."""
    for router, inputs, total in (
        (0, (32, 32, 32, 32), 373_760),
        (9, (32, 43, 32, 39), 838_016),
        (16, (32, 48, 32, 48), 1_284_096),
    ):
        sides = dict(zip(("north", "east", "south", "west"), inputs, strict=True))
        fabric = mosaic((5, 5), 32, router=router, tile_in=sides)
        assert SmallestChip(fabric, False).devices(SmallestChip(fabric, False).top) == total


def test_reserved_slots_bound_what_fits():
    fabric = mosaic((3, 3), 8)
    for sized in (False, True):
        floor = SmallestChip(fabric, sized).floor()
        counts = [DeviceMemory(fabric, groups_of(fabric), int(floor * k), sized).branches() for k in (1, 1.1, 2, 50)]
        assert counts == sorted(counts)
        budget = DeviceMemory(fabric, groups_of(fabric), floor * 2, sized)
        wanted = fabric.n_neurons * fabric.n_tiles
        added = budget.start(nothing(fabric)).fill(nothing(fabric), wanted, np.random.default_rng(0))
        assert 0 < len(added) <= budget.branches()
    assert DeviceMemory(fabric, groups_of(fabric), floor * 2, True, most=5).branches() == 5


def test_grown_trees_pack_tighter_than_fixed_paths():
    """At one limit the negotiated forest carries at least as many branches, mean of several draws."""
    fabric = mosaic((4, 4), 8)
    held = []
    for negotiated in (False, True):
        budget = DeviceMemory(fabric, groups_of(fabric), 30_000, True, negotiated)
        fills = [budget.start(nothing(fabric)).fill(nothing(fabric), 600, np.random.default_rng(k)) for k in range(5)]
        held.append(np.mean([len(one) for one in fills]))
    assert held[1] > held[0]
