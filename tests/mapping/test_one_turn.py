"""Fixed paths: published port counts, the slow reference, and loads kept branch by branch."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.one_turn import route_one_turn, route_one_turn_reference
from tilewire.mapping.port_loads import PortLoads
from tilewire.mapping.trees import loads, port_use

ORACLE = Path(__file__).parents[1] / "oracle" / "one_turn_port_use.npz"
chips = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 7))


def network(fabric, density, seed):
    rng = np.random.default_rng(seed)
    source, tile = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < density)
    placement = np.repeat(rng.permutation(fabric.n_tiles), fabric.neurons_per_tile).astype(np.int32)
    return Connectivity.of(source, tile, fabric.n_neurons, fabric.n_tiles), placement


@pytest.mark.parametrize("case", range(5))
def test_port_use_equals_the_published_router(case):
    with np.load(ORACLE) as data:
        height, width, size = (int(v) for v in data[f"case{case}_grid"])
        links, want = data[f"case{case}_links"], data[f"case{case}_port_use"]
    fabric = mosaic((height, width), size)
    branches = Connectivity.of(links[:, 0], links[:, 1], fabric.n_neurons, fabric.n_tiles)
    placement = (np.arange(fabric.n_neurons) // size).astype(np.int32)
    trees = route_one_turn(fabric, branches, placement)
    np.testing.assert_array_equal(port_use(fabric, loads(fabric, trees)), want)


@settings(deadline=None, max_examples=40)
@given(chips, st.sampled_from([mosaic, mesh]), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_fast_router_equals_the_reference(chip, family, density, seed):
    fabric = family(chip[:2], chip[2])
    branches, placement = network(fabric, density, seed)
    fast, slow = (route(fabric, branches, placement) for route in (route_one_turn, route_one_turn_reference))
    np.testing.assert_array_equal(fast.ptr, slow.ptr)
    np.testing.assert_array_equal(fast.link, slow.link)


@settings(deadline=None, max_examples=30)
@given(chips, st.floats(0.05, 1), st.integers(0, 2**32 - 1))
def test_loads_kept_branch_by_branch_equal_a_full_route(chip, density, seed):
    fabric = mosaic(chip[:2], chip[2])
    branches, placement = network(fabric, density, seed)
    rng = np.random.default_rng(seed)
    early = rng.random(len(branches)) < 0.5
    state = PortLoads.of(
        fabric,
        Connectivity(branches.n_sources, branches.n_targets, branches.source[early], branches.target[early]),
        placement,
    )
    late = list(zip(branches.source[~early].tolist(), branches.target[~early].tolist(), strict=True))
    for neuron, tile in late:
        before, fresh = state.load.copy(), state.new_links(neuron, tile).copy()
        state.add_branch(neuron, tile)
        before[fresh] += 1
        np.testing.assert_array_equal(state.load, before)
    keep = rng.random(len(branches)) < 0.6
    for neuron, tile in zip(branches.source[~keep].tolist(), branches.target[~keep].tolist(), strict=True):
        state.remove_branch(neuron, tile)
    rest = Connectivity(branches.n_sources, branches.n_targets, branches.source[keep], branches.target[keep])
    np.testing.assert_array_equal(state.load, loads(fabric, route_one_turn(fabric, rest, placement)))


def test_table_of_kept_loads_grows_and_forgets():
    fabric = mosaic((6, 6), 8)
    branches, placement = network(fabric, 1.0, 0)
    state = PortLoads(fabric, placement)
    for _ in range(2):
        for neuron, tile in zip(branches.source.tolist(), branches.target.tolist(), strict=True):
            state.add_branch(neuron, tile)
        for neuron, tile in zip(branches.source.tolist(), branches.target.tolist(), strict=True):
            state.remove_branch(neuron, tile)
    assert not state.load.any()
