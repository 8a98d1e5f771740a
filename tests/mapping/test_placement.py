from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import NetsError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.placement import PLACERS, by_index, hop_cost, of_neurons, place
from tilewire.mapping.placement_anneal import _adjacency, group_traffic, swap_delta

S = 3


def random_branches(groups, per_neuron, rng):
    source = np.repeat(np.arange(groups * S), per_neuron)
    return Connectivity.of(source, rng.integers(groups, size=source.size), groups * S, groups)


def slow_cost(fabric, branches, tile, rate):
    total = 0.0
    for neuron, group in zip(branches.source, branches.target, strict=True):
        if neuron // S != group:
            total += rate[neuron] * fabric.hop_distance[tile[neuron // S], tile[group]]
    return total


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.booleans())
def test_cost_and_swap_delta_equal_the_slow_sum(seed, use_mosaic):
    rng = np.random.default_rng(seed)
    fabric = (mosaic if use_mosaic else mesh)((int(rng.integers(1, 4)), int(rng.integers(2, 5))), S)
    groups = int(rng.integers(2, fabric.n_tiles + 1))
    branches, rate = random_branches(groups, 2, rng), rng.random(groups * S)
    tile = rng.permutation(fabric.n_tiles)[:groups].astype(np.int32)
    before = slow_cost(fabric, branches, tile, rate)
    assert hop_cost(fabric, branches, tile, rate) == pytest.approx(before)
    # Hop counts with a preferred direction: the delta must not rely on symmetry.
    hop = (fabric.hop_distance + np.triu(rng.integers(0, 3, fabric.hop_distance.shape), 1)).astype(np.int32)
    source, target, flow = group_traffic(branches, S, rate)
    graph = _adjacency(source, target, flow, groups)
    a, there = int(rng.integers(groups)), int(rng.integers(fabric.n_tiles))
    here = int(tile[a])
    owner = np.flatnonzero(tile == there)
    b = int(owner[0]) if owner.size else -1
    if b == a:
        return
    delta = swap_delta(*graph, hop, np.ascontiguousarray(hop.T), tile, a, b, here, there)
    moved = tile.copy()
    moved[a] = there
    if b >= 0:
        moved[b] = here
    expected = (flow * (hop[moved[source], moved[target]] - hop[tile[source], tile[target]])).sum()
    assert delta == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32))
def test_annealing_finds_the_optimum_of_tiny_chips(seed):
    rng = np.random.default_rng(seed)
    fabric = mosaic((2, 3), S)
    groups = int(rng.integers(2, 7))
    branches, rate = random_branches(groups, 2, rng), rng.random(groups * S)
    tile = place(fabric, branches, method="anneal", rate=rate, rng=rng)
    best = min(slow_cost(fabric, branches, p, rate) for p in permutations(range(6), groups))
    assert slow_cost(fabric, branches, tile, rate) == pytest.approx(best)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from(sorted(PLACERS)))
def test_every_placer_gives_different_tiles_and_obeys_overrides(seed, method):
    rng = np.random.default_rng(seed)
    fabric = mesh((3, 4), S)
    groups = int(rng.integers(1, 13))
    branches = random_branches(groups, 2, rng)
    pinned = rng.permutation(groups)[: rng.integers(0, groups + 1)]
    fixed = dict(zip(pinned.tolist(), rng.permutation(12)[: pinned.size].tolist(), strict=True))
    tile = place(fabric, branches, method=method, fixed=fixed, rng=rng)
    assert tile.dtype == np.int32
    assert tile.shape == (groups,)
    assert len(set(tile.tolist())) == groups
    assert 0 <= tile.min() <= tile.max() < 12
    assert all(tile[group] == where for group, where in fixed.items())


def test_annealing_undoes_a_shuffle_that_random_placements_do_not():
    rng, fabric = np.random.default_rng(3), mesh((5, 6), S)
    hidden = rng.permutation(30)
    source, target = np.nonzero(fabric.hop_distance == 2)
    neuron = hidden[source] * S + rng.integers(S, size=source.size)
    branches = Connectivity.of(neuron, hidden[target], 30 * S, 30)
    tile = place(fabric, branches, method="anneal", rng=rng)
    random = min(hop_cost(fabric, branches, rng.permutation(30).astype(np.int32)) for _ in range(50))
    assert hop_cost(fabric, branches, tile) == 2 * len(branches) < 0.7 * random


def test_equal_seeds_give_equal_placements_and_never_worse_than_by_index():
    fabric = mesh((4, 4), S)
    branches = random_branches(16, 4, np.random.default_rng(0))
    first, second = (place(fabric, branches, method="anneal", rng=np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)
    index = place(fabric, branches, rng=np.random.default_rng(7))
    assert hop_cost(fabric, branches, first) <= hop_cost(fabric, branches, index)


def test_by_index_puts_group_t_on_tile_t():
    fabric = mesh((2, 2), 4)
    assert by_index(16, fabric).tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert of_neurons(np.array([2, 0], np.int32), 8, 4).tolist() == [2] * 4 + [0] * 4
    with pytest.raises(NetsError, match="17 neurons on a chip of 16"):
        by_index(17, fabric)


def test_by_index_moves_only_the_groups_that_a_fixed_one_pushes_away():
    fabric = mesh((1, 5), S)
    tile = place(fabric, random_branches(4, 1, np.random.default_rng(0)), fixed={0: 2}, rng=np.random.default_rng(0))
    assert tile.tolist() == [2, 1, 0, 3]


def test_faulty_requests_are_named():
    fabric, rng = mesh((2, 2), S), np.random.default_rng(0)
    branches = random_branches(4, 1, rng)
    with pytest.raises(UsageError, match="did you mean 'anneal'"):
        place(fabric, branches, method="aneal", rng=rng)
    with pytest.raises(UsageError, match=r"tile 1 .* is given to groups \[0, 2\]"):
        place(fabric, branches, fixed={0: 1, 2: 1}, rng=rng)
    with pytest.raises(UsageError, match=r"fixed group 9 is outside 0\.\.3"):
        place(fabric, branches, fixed={9: 1}, rng=rng)
    with pytest.raises(UsageError, match=r"fixed tile 4 of group 0 is outside 0\.\.3"):
        place(fabric, branches, fixed={0: 4}, rng=rng)
    with pytest.raises(NetsError, match="5 groups on 4 tiles"):
        place(fabric, random_branches(5, 1, rng), rng=rng)
    with pytest.raises(NetsError, match="rate of neuron 0 is nan"):
        place(fabric, branches, method="anneal", rate=np.full(12, np.nan), rng=rng)
