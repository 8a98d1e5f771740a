import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import BudgetError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.mapping.budget import HopProfile
from tilewire.nn.initialise import AboveThreshold
from tilewire.rewire.drop import BranchThreshold
from tilewire.rewire.engine import Rewiring, live_branches

THRESHOLD = 0.05
LAW = AboveThreshold(THRESHOLD, 2.0)
DENSITY = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


def empty_table(fabric, slots):
    return Blocks(
        np.zeros(slots, np.int32),
        np.full(slots, DEAD, np.int32),
        fabric.n_neurons,
        fabric.n_tiles,
        fabric.neurons_per_tile,
    )


def own_tiles(fabric):
    return (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)


def started(fabric, profile, drop=None, slots=None, seed=0):
    """Rewiring over a table that is filled once, its weights, and a generator."""
    budget = HopProfile.of(fabric, profile, own_tiles(fabric))
    slots = budget.branches() if slots is None else slots
    table, weight = empty_table(fabric, slots), np.zeros((slots, fabric.neurons_per_tile), np.float32)
    rewiring = Rewiring(table, budget, drop or BranchThreshold(THRESHOLD), LAW)
    rng = np.random.default_rng(seed)
    rewiring.grow(weight, rng, np.random.default_rng(seed + 1))
    return budget, table, weight, rewiring, rng


def quotas(budget, table):
    """Branches per (source tile, hop class), counted one by one."""
    fabric, classes = budget.fabric, list(budget.fabric.hop_classes)
    use = np.zeros((fabric.n_tiles, len(classes)), np.int64)
    live = live_branches(table)
    for source, tile in zip(live.source.tolist(), live.target.tolist(), strict=True):
        own = source // fabric.neurons_per_tile
        use[own, classes.index(fabric.hop_distance[own, tile])] += 1
    return use


@settings(deadline=None, max_examples=30)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 7),
    st.sampled_from([mosaic, mesh]),
    st.integers(0, 99),
    st.data(),
)
def test_excess_stays_zero_and_quotas_exact_step_after_step(grid, s, family, seed, data):
    fabric = family(grid, s)
    profile = {d: data.draw(DENSITY) for d in fabric.hop_classes if data.draw(st.booleans())}
    budget, table, weight, rewiring, rng = started(fabric, profile, seed=seed)
    assert np.array_equal(quotas(budget, table), budget.quota())
    for _ in range(8):
        weight *= rng.uniform(0.0, 1.2, weight.shape)  # some fall below the threshold
        dying = BranchThreshold(THRESHOLD)(weight)
        report = rewiring.step(weight, rng, np.random.default_rng(rng.integers(1 << 30)))
        assert rewiring.state.excess().worst <= 0
        assert report.missing == 0
        assert np.array_equal(quotas(budget, table), budget.quota())
        assert np.array_equal(report.killed, np.flatnonzero(dying))
        assert len(live_branches(table)) == (table.tile != DEAD).sum()  # no branch twice


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(0, 99))
def test_more_slots_than_the_budget_holds_stay_empty_and_are_reported(spare, seed):
    fabric = mosaic((2, 3), 3)
    profile = {1: 0.5, 5: 1.0}
    most = HopProfile.of(fabric, profile, own_tiles(fabric)).branches()
    budget, table, weight, rewiring, rng = started(fabric, profile, slots=most + spare, seed=seed)
    weight[:] = 0
    report = rewiring.step(weight, rng, rng)
    assert report.missing == spare
    assert np.array_equal(quotas(budget, table), budget.quota())
    assert not weight[table.tile == DEAD].any()


def test_fewer_slots_than_the_budget_holds_are_all_used():
    fabric = mosaic((2, 3), 3)
    budget, table, weight, rewiring, rng = started(fabric, {1: 1.0, 3: 1.0}, slots=7)
    for _ in range(5):
        weight[rng.random(7) < 0.5] = 0
        assert rewiring.step(weight, rng, rng).missing == 0
        assert (quotas(budget, table) <= budget.quota()).all()
        assert (table.tile != DEAD).all()


@pytest.mark.parametrize("s", [4, 32])
@pytest.mark.parametrize("min_live", [0.0, 0.25, 0.5, 1.0])
def test_the_live_share_asked_for_is_the_one_used(s, min_live):
    """The public code of the paper prunes at 20 of 32 whatever it is told."""
    drop = BranchThreshold(THRESHOLD, min_live)
    weight = np.where(np.arange(s)[None, :] < np.arange(s + 1)[:, None], THRESHOLD, 0).astype(np.float32)
    assert drop(weight).tolist() == [strong < min_live * s for strong in range(s + 1)]


@pytest.mark.parametrize(
    ("s", "min_live", "needed"),
    [(100, 0.07, 7), (100, 0.55, 55), (100, 0.29, 29), (10, 0.7, 7), (3, 0.5, 2), (32, 0.625, 20)],
)
def test_needed_synapses_know_no_binary_fractions(s, min_live, needed):
    weight = np.zeros((2, s), np.float32)
    weight[0, : needed - 1] = weight[1, :needed] = -1.0
    assert BranchThreshold(THRESHOLD, min_live)(weight).tolist() == [True, False]


def test_killed_and_born_are_branches():
    """The public code reports killed synapses against born branches."""
    fabric = mosaic((2, 2), 8)
    _, table, weight, rewiring, rng = started(fabric, {1: 0.5})
    before = live_branches(table)
    weight[:5] = 0
    report = rewiring.step(weight, rng, rng)
    assert report.killed.tolist() == [0, 1, 2, 3, 4]
    assert report.born.size == 5
    kept = {(a, b) for a, b in zip(before.source.tolist(), before.target.tolist(), strict=True)}
    after = {(a, b) for a, b in zip(*(x.tolist() for x in (table.source[5:], table.tile[5:])), strict=True)}
    assert after <= kept


def test_branches_into_output_tiles_do_not_pile_up():
    """In the public code they never die while others regrow into their quota."""
    fabric = mosaic((3, 3), 8)
    budget, table, weight, rewiring, rng = started(fabric, {1: 0.5, 3: 0.2})
    into_last = [int((table.tile == 8).sum())]
    for _ in range(40):
        weight[rng.random(len(weight)) < 0.5] = 0
        rewiring.step(weight, rng, rng)
        into_last.append(int((table.tile == 8).sum()))
    expected = 8 * (0.5 * 2 + 0.2 * 1)
    assert abs(np.mean(into_last) - expected) < 4
    assert max(into_last[-10:]) < expected + 10
    assert np.array_equal(quotas(budget, table), budget.quota())


def test_positions_and_weights_come_from_two_streams():
    """The public code draws both from one key."""
    fabric = mosaic((2, 3), 4)

    def grown(positions, weights):
        budget = HopProfile.of(fabric, {1: 0.5, 3: 0.5}, own_tiles(fabric))
        table, weight = empty_table(fabric, budget.branches()), np.zeros((budget.branches(), 4), np.float32)
        Rewiring(table, budget, BranchThreshold(THRESHOLD), LAW).grow(
            weight, np.random.default_rng(positions), np.random.default_rng(weights)
        )
        return live_branches(table), weight

    branches, weight = grown(1, 2)
    assert grown(1, 3)[0] == branches
    assert not np.array_equal(grown(1, 3)[1], weight)
    assert grown(4, 2)[0] != branches
    assert np.array_equal(grown(4, 2)[1], weight)


def test_same_generators_same_result():
    fabric = mosaic((2, 3), 4)
    results = []
    for _ in range(2):
        _, table, weight, rewiring, rng = started(fabric, {1: 0.6, 5: 0.3}, seed=5)
        for _ in range(4):
            weight[rng.random(len(weight)) < 0.4] = 0
            rewiring.step(weight, rng, rng)
        results.append((table.source.copy(), table.tile.copy(), weight.copy()))
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_a_wiring_over_its_quota_is_refused():
    fabric = mosaic((2, 2), 2)
    budget = HopProfile.of(fabric, {1: 0.25}, own_tiles(fabric))
    table = Blocks(np.array([0, 1]), np.array([1, 2]), 8, 4, 2)
    with pytest.raises(BudgetError, match=r"uses 2 of 1") as caught:
        Rewiring(table, budget, BranchThreshold(THRESHOLD), LAW)
    assert "tile 0 (row 0, column 0), hop class 1" in str(caught.value)


def test_an_empty_table_rewires_to_nothing():
    fabric = mosaic((1, 1), 4)
    _, _, weight, rewiring, rng = started(fabric, {})
    report = rewiring.step(weight, rng, rng)
    assert report.killed.size == report.born.size == report.missing == 0
