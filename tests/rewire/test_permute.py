"""Tiles that move while a network trains: same outputs, less load, every budget still held, or no move at all."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.mapping.budget import HopProfile
from tilewire.mapping.budgets import build_placed, trees_of
from tilewire.mapping.check import check_mapping
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.placed_budget import tile_of_groups
from tilewire.mapping.placement import hop_cost
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.constrained import Constrained
from tilewire.rewire.drop import BranchThreshold
from tilewire.rewire.permute import OBJECTIVES, TilePermutation, _swap_gains, permutation_of

LAW = AboveThreshold(0.3, 0.5)


def groups_of(fabric):
    return (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)


def chained(fabric, per_group, rng):
    """Branches along a random ring of groups: a placement in ring order carries them next door."""
    ring, s = rng.permutation(fabric.n_tiles), fabric.neurons_per_tile
    source = np.concatenate([group * s + rng.permutation(s)[:per_group] for group in ring])
    return Connectivity.of(source, np.repeat(np.roll(ring, -1), per_group), fabric.n_neurons, fabric.n_tiles)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([mosaic, mesh]), st.tuples(st.integers(1, 4), st.integers(2, 4)), st.integers(1, 5), st.integers(0, 1 << 30)
)  # fmt: skip
def test_swap_gains_are_what_a_swap_saves(family, grid, size, seed):
    rng = np.random.default_rng(seed)
    fabric = family(grid, size)
    keys = np.flatnonzero(rng.random(fabric.n_neurons * fabric.n_tiles) < 0.3)
    branches = Connectivity.of(keys // fabric.n_tiles, keys % fabric.n_tiles, fabric.n_neurons, fabric.n_tiles)
    branches = branches.without_own(groups_of(fabric))
    tile = rng.permutation(fabric.n_tiles).astype(np.int32)
    fixed = np.flatnonzero(rng.random(fabric.n_tiles) < 0.2)
    gains, pairs = _swap_gains(fabric, branches, tile, fixed)
    assert not np.isin(pairs, fixed).any()
    free = fabric.n_tiles - fixed.size
    assert len(pairs) == free * (free - 1) // 2
    before = hop_cost(fabric, branches, tile)
    for gain, (a, b) in zip(gains, pairs, strict=True):
        swapped = tile.copy()
        swapped[[a, b]] = tile[[b, a]]
        assert before - hop_cost(fabric, branches, swapped) == pytest.approx(gain)


@pytest.mark.parametrize("router", ["one-turn", "negotiated"])
@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
@pytest.mark.parametrize("kind", ["ports", "memory", "all-of"])
def test_load_falls_and_every_budget_holds(kind, objective, router):
    rng = np.random.default_rng(4)
    fabric = mosaic((3, 4), 4, router=8, tile_in=8)
    options = {"router": router, "devices": 60_000, "all": [{"kind": "fan", "fan_in": 9}, {"kind": "ports"}]}
    budget, branches, group = (
        build_placed(kind, fabric, groups_of(fabric), options),
        chained(fabric, 3, rng),
        groups_of(fabric),
    )
    state = budget.start(branches)
    permutation = TilePermutation(objective, fixed=(0, 7), tries=12)
    after = permutation.improve(fabric, budget, state, branches, rng)
    assert permutation._measure(fabric, after, branches) < permutation._measure(fabric, state, branches)
    if objective == "traffic":
        assert hop_cost(fabric, branches, after.tile_of_group) < 0.8 * hop_cost(fabric, branches, state.tile_of_group)
    assert after.tile_of_group[[0, 7]].tolist() == [0, 7]
    assert after.excess().worst <= 0
    placement, grown = after.tile_of_group[group], trees_of(after)
    trees = grown or route_one_turn(fabric, after.on_tiles(branches), placement)
    check = check_mapping(fabric, branches, group, placement, trees.ptr, trees.link, merging=grown is None)
    assert check.fits, check.faults[:3]
    again = permutation.improve(fabric, budget, after, branches, np.random.default_rng(4))
    assert permutation._measure(fabric, again, branches) <= permutation._measure(fabric, after, branches)


def test_no_move_that_breaks_a_budget():
    """Full quotas of a hop profile leave no other placement of an irregular network: nothing moves, however much it would save."""
    fabric, rng = mosaic((2, 4), 4), np.random.default_rng(1)
    branches, group = chained(fabric, 4, rng), groups_of(fabric)
    distance = fabric.hop_distance[group[branches.source], branches.target]
    budget = build_placed("hop-profile", fabric, group, {"profile": {int(distance.max()): 1.0, 1: 1.0}})
    far = distance == distance.max()
    kept = Connectivity(branches.n_sources, branches.n_targets, branches.source[far], branches.target[far])
    state = budget.start(kept)
    moved = TilePermutation("traffic").improve(fabric, budget, state, kept, rng)
    assert moved.excess().worst <= 0
    for part in (state, moved):
        quota = HopProfile.of(fabric, {int(distance.max()): 1.0, 1: 1.0}, part.tile_of_group[group])
        assert quota.start(part.on_tiles(kept)).excess().fits


def test_outputs_are_the_same_numbers_and_the_slack_is_used():
    fabric = mosaic((3, 3), 4, router=3, tile_in=6)
    budget = build_placed("ports", fabric, groups_of(fabric), {"router": "negotiated"})
    net = TiledRSNN(fabric, TiledSpec(5, 3), Lif(0.9), budget.branches(), LAW, np.random.default_rng(0))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    constrained = Constrained(net, optimiser, budget, BranchThreshold(0.3, 0.5), LAW, 0)
    net.branch_weight[::3] = 0.0  # a third dies: room to move
    constrained.rewiring.drop, constrained.rewiring.choose = (
        constrained.drop,
        lambda state, linked, wanted, rng: Connectivity.of([], [], linked.n_sources, linked.n_targets),
    )
    rng = np.random.default_rng(1)
    constrained.rewiring.step(net.branch_weight, rng, rng)
    x = SpikeEvents.from_dense((rng.random((6, 12, 5)) < 0.5).astype(np.uint8))
    weight, table = net.w_rec.detach().clone(), net.live_branches()
    counts, trains = (part.detach().clone() for part in net(x))
    permutation = permutation_of(net.roles, fabric, "traffic", ["outputs"], 20)
    assert permutation.fixed == (8,)
    traffic = hop_cost(fabric, table, constrained.tile_of_group)
    moved = constrained.permute(permutation)
    assert moved > 0
    assert hop_cost(fabric, table, constrained.tile_of_group) < traffic
    assert torch.equal(weight, net.w_rec)
    assert net.live_branches() == table
    after = net(x)
    assert torch.equal(counts, after[0])
    assert torch.equal(trains, after[1])
    assert constrained.excess().worst <= 0
    constrained.step()
    assert constrained.excess().worst <= 0
    saved = constrained.rewiring.state.arrays()
    constrained.restart(constrained.steps, {name: value.copy() for name, value in saved.items()})
    assert np.array_equal(constrained.tile_of_group, saved["placement"])


def test_what_cannot_be_permuted():
    fabric = mosaic((2, 2), 4)
    with pytest.raises(UsageError, match="unknown permutation objective"):
        TilePermutation("speed")
    budget = HopProfile.of(fabric, {1: 0.5}, groups_of(fabric))
    net = TiledRSNN(fabric, TiledSpec(4, 2), Lif(0.9), budget.branches(), LAW, np.random.default_rng(0))
    constrained = Constrained(net, torch.optim.SGD(net.parameters(), lr=0.1), budget, BranchThreshold(0.3), LAW, 0)
    with pytest.raises(UsageError, match="placed budget only"):
        constrained.permute(TilePermutation())
    assert tile_of_groups(constrained.rewiring.state, 4).tolist() == [0, 1, 2, 3]
    placed = build_placed("ports", fabric, groups_of(fabric), {})
    nothing = Connectivity.of([], [], 16, 4)
    with pytest.raises(BudgetError, match="no permutation"):
        placed.start(nothing, {"placement": np.array([0, 0, 1, 2])})
