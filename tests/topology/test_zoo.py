"""Closed forms of single families."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import BudgetError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.topology.digits import paired_radices, radices_of
from tilewire.topology.neighbours import dimension_count
from tilewire.topology.paths import path_counts, reach
from tilewire.topology.random import balanced_rows, without_self
from tilewire.topology.small_world import branch_stage, decaying_profile, profile_branches, profile_of
from tilewire.topology.stage import Stage, quotient
from tilewire.topology.table import TOPOLOGIES, budget_of, family, fill
from tilewire.topology.uniform import erdos_renyi_shares


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("radix", "count"), [(2, 6), (4, 3), (8, 2)])
def test_butterfly_of_64(radix, count):
    one = family("butterfly")(64, 64, radix=radix)
    assert one.depth == count
    assert one.weights == radix * 64 * count
    assert np.array_equal(path_counts(one), np.ones((64, 64)))
    two = family("butterfly")(64, 64, radix=radix, passes=2)
    assert np.array_equal(path_counts(two), np.full((64, 64), 64))


def test_butterfly_index_function():
    for level, stage in enumerate(family("butterfly")(8, 8).stages):
        for i in range(8):
            digit = i // 2**level % 2
            assert stage.inputs(np.array([i]))[0].tolist() == [i - digit * 2**level + d * 2**level for d in range(2)]


def test_path_counts_of_the_others():
    assert np.array_equal(path_counts(family("benes")(16, 16)), np.full((16, 16), 8))
    assert np.array_equal(path_counts(family("clos")(64, 64)), np.full((64, 64), 8))
    assert np.array_equal(path_counts(family("monarch")(64, 64)), np.ones((64, 64)))
    assert np.array_equal(path_counts(family("radix-net")(64, 64, radix=4)), np.ones((64, 64)))
    assert np.array_equal(path_counts(family("parallel-sum")(64, 64, branches=3)), np.full((64, 64), 3))
    assert np.array_equal(path_counts(family("low-rank")(9, 6, rank=2)), np.full((6, 9), 2))


def test_weights_in_closed_form():
    assert family("clos")(64, 64).weights == 2 * 64 * 8 + 8 * 8**2
    assert family("clos")(64, 64, middle=5).weights == 2 * 64 * 5 + 5 * 8**2
    assert family("monarch")(64, 64).weights == 2 * 64**1.5
    assert family("benes")(64, 64).weights == 2 * 64 * 11
    assert family("parallel-union")(64, 64, partners=3, depth=6).weights == 4 * 64 * 6
    assert family("parallel-cross")(64, 64, partners=4, depth=6).weights == 4 * 64 * 6
    assert family("hypercube")(64, 64, depth=3).weights == 7 * 64 * 3
    assert family("torus-1d")(20, 20, halo=2, depth=4).weights == 5 * 20 * 4
    assert family("torus-2d")(20, 20, depth=3).weights == 5 * 20 * 3
    assert family("pixelfly")(64, 64, block=4, rank=2).weights == 64 * 4 * (1 + 4) + 2 * 2 * 64
    assert family("low-rank")(30, 12, rank=3).weights == 3 * 42
    assert family("n-of-m")(32, 10, keep=1, group=4).weights == 80


def test_union_form_is_butterfly_and_hypercube_at_its_ends():
    union, plain = family("parallel-union")(16, 16, partners=1), family("butterfly")(16, 16)
    for one, other in zip(union.stages, plain.stages, strict=True):
        assert one.connectivity() == other.connectivity()
    cube = family("hypercube")(16, 16)
    assert family("parallel-union")(16, 16, partners=4).stages[0].connectivity() == cube.stages[0].connectivity()


@pytest.mark.parametrize("width", [12, 16, 21, 23])
@pytest.mark.parametrize("name", ["parallel-union", "parallel-cross", "hypercube"])
def test_one_digit_a_stage_needs_as_many_stages_as_digits(name, width):
    count = dimension_count(width)
    assert reach(family(name)(width, width, depth=count)) == 1
    if width in (12, 16):
        assert reach(family(name)(width, width, depth=count - 1)) < 1


def test_torus_neighbours():
    stage = family("torus-2d")(12, 12, depth=1).stages[0]
    assert sorted(stage.inputs(np.array([0]))[0].tolist()) == [0, 1, 3, 4, 8]
    with pytest.raises(UsageError, match="width 13") as found:
        family("torus-2d")(13, 13)
    assert "width 12" in str(found.value.hint)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 400), st.integers(2, 9))
def test_radices_cover_the_width(n, radix):
    found = radices_of(n, radix)
    assert n <= np.prod(found) < 2 * n
    one, other = paired_radices(n, max(2, n // 3), radix)
    assert len(one) == len(other)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 12), st.integers(0, 5))
def test_balanced_rows(n_in, n_out, k, seed):
    k = min(k, n_in)
    table = balanced_rows(n_in, n_out, k, rng(seed))
    assert all(len(set(row)) == k for row in table.tolist())
    used = np.bincount(table.ravel(), minlength=n_in)
    assert used.min() >= n_out * k // n_in
    assert used.max() <= -(-n_out * k // n_in)
    if n_in == n_out and k < n_in:
        bare = without_self(table, rng(seed))
        assert np.array_equal(np.bincount(bare.ravel(), minlength=n_in), used)
        assert all(len(set(row)) == k for row in bare.tolist())


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_quotient_against_a_dense_fold(n_in, n_out, seed):
    table = balanced_rows(9, 9, 3, rng(seed))
    stage = quotient(Stage(9, 9, 3, lambda i: table[i]), n_in, n_out)
    dense = np.zeros((n_out, n_in), bool)
    for i, row in enumerate(table):
        dense[i % n_out, row % n_in] = True
    found = np.zeros_like(dense)
    found[stage.outputs, stage.rows.source] = True
    assert np.array_equal(found, dense)
    assert stage.weights == dense.sum()


def test_erdos_renyi_shares():
    assert erdos_renyi_shares([10, 10, 10], 41) in ([20, 21], [21, 20])
    assert erdos_renyi_shares([100, 100, 2], 700) == [500, 200]
    assert sum(erdos_renyi_shares([100, 10, 50], 321)) == 321


def test_profiles_go_both_ways():
    distance = mesh((3, 4), 8).hop_distance
    profile = {2: 0.5, 3: 0.25, 5: 0.125}
    branches = profile_branches(distance, 8, profile, rng())
    for d in (2, 3, 5):
        use = distance[branches.source // 8, branches.target] == d
        quota = sum(round(profile[d] * 8 * int((row == d).sum())) for row in distance)
        assert use.sum() == quota
    stage = branch_stage(branches, 8)
    found = profile_of(stage, np.arange(96) // 8, distance)
    assert found[2] == pytest.approx(0.5, abs=0.05)
    assert found[4] == 0
    with pytest.raises(UsageError, match="hop class 9"):
        profile_branches(distance, 8, {9: 0.1}, rng())
    decaying = decaying_profile(distance, 0.2, 2.0)
    counts = {d: int((distance == d).sum()) for d in decaying}
    assert sum(decaying[d] * counts[d] for d in counts) == pytest.approx(0.2 * sum(counts.values()))


def test_budgets_and_densities():
    assert budget_of(64, 32, density=0.25) == 512
    for wrong in (
        {"density": 1.5},
        {"density": 0.0},
        {"density": -1.0},
        {"density": float("nan")},
        {"density": 0.01},
        {"budget": 63},
    ):
        with pytest.raises(BudgetError) as found:
            budget_of(64, 32, **wrong)
        assert found.value.hint
    with pytest.raises(BudgetError, match="below one edge per neuron, 64"):
        budget_of(64, 32, budget=10)
    with pytest.raises(UsageError, match="did you mean 'butterfly'"):
        family("buterfly")
    with pytest.raises(BudgetError, match=r"dense.*within 100"):
        fill("dense", 32, 32, 100, rng())
    for name in TOPOLOGIES:
        if name not in ("dense", "benes", "torus-1d"):
            assert fill(name, 64, 64, 2048, rng()).weights <= 2048
