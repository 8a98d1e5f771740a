import numpy as np
import pytest
from beartype import beartype
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Int64, jaxtyped

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.budget import Excess, HopProfile, fill_by_rejection, parse_profile

DENSITY = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0, 1))


@st.composite
def budgets(draw, largest=4):
    """A hop profile on any grid of any family, neurons on tiles in any order."""
    grid = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    fabric = draw(st.sampled_from([mosaic, mesh]))(grid, draw(st.integers(1, 6)))
    profile = {d: draw(DENSITY) for d in fabric.hop_classes if draw(st.booleans())}
    tile_of = np.repeat(np.arange(fabric.n_tiles), fabric.neurons_per_tile).astype(np.int32)
    if draw(st.booleans()):
        tile_of = np.random.default_rng(draw(st.integers(0, 99))).permutation(tile_of)
    return HopProfile.of(fabric, profile, tile_of)


def nothing(budget):
    return Connectivity.of([], [], budget.fabric.n_neurons, budget.fabric.n_tiles)


def counted(budget, branches):
    """Branches per (source tile, hop class), one by one."""
    classes = list(budget.fabric.hop_classes)
    use = np.zeros((budget.fabric.n_tiles, len(classes)), np.int64)
    for source, tile in zip(branches.source.tolist(), branches.target.tolist(), strict=True):
        own = budget.tile_of[source]
        if own != tile:
            use[own, classes.index(budget.fabric.hop_distance[own, tile])] += 1
    return use


def joined(a, b):
    return Connectivity.of(
        np.concatenate([a.source, b.source]), np.concatenate([a.target, b.target]), a.n_sources, a.n_targets
    )


@jaxtyped(typechecker=beartype)
def quota_of(budget: HopProfile, _pairs: Int64[np.ndarray, "tiles classes"]) -> Int64[np.ndarray, "tiles classes"]:
    return budget.quota()


@settings(deadline=None, max_examples=60)
@given(budgets())
def test_quota_is_the_rounded_share_of_what_there_is(budget):
    fabric = budget.fabric
    quota = quota_of(budget, np.zeros((fabric.n_tiles, len(fabric.hop_classes)), np.int64))
    for tile in range(fabric.n_tiles):
        for column, d in enumerate(fabric.hop_classes):
            there = sum(int(fabric.hop_distance[tile, other] == d) for other in range(fabric.n_tiles))
            assert quota[tile, column] == round(budget.profile.get(d, 0.0) * fabric.neurons_per_tile * there)
    assert budget.branches() == quota.sum()


@settings(deadline=None, max_examples=60)
@given(budgets(), st.integers(0, 99))
def test_fill_meets_every_quota_and_repeats_nothing(budget, seed):
    state = budget.start(nothing(budget))
    added = state.fill(nothing(budget), budget.branches(), np.random.default_rng(seed))
    assert len(added) == budget.branches()  # `Connectivity.of` dropped no repeat
    assert np.array_equal(counted(budget, added), budget.quota())
    assert len(added.without_own(budget.tile_of)) == len(added)
    excess = state.excess()
    assert excess.fits
    assert (excess.excess == 0).all()


@settings(deadline=None, max_examples=60)
@given(budgets(), st.integers(0, 99), st.floats(0, 1), st.floats(0, 1))
def test_fill_respects_what_is_there_and_how_much_is_wanted(budget, seed, kept, share):
    rng = np.random.default_rng(seed)
    full = budget.start(nothing(budget)).fill(nothing(budget), budget.branches(), rng)
    keep = rng.random(len(full)) < kept
    linked = Connectivity(full.n_sources, full.n_targets, full.source[keep], full.target[keep])
    wanted = int(share * (len(full) - len(linked)))
    state = budget.start(linked)
    added = state.fill(linked, wanted, rng)
    both = joined(linked, added)
    assert len(added) == wanted
    assert len(both) == len(linked) + wanted
    assert (counted(budget, both) <= budget.quota()).all()
    assert np.array_equal(state.excess().use, counted(budget, both).ravel())


@settings(deadline=None, max_examples=60)
@given(budgets(largest=3), st.data())
def test_state_counts_like_a_person(budget, data):
    fabric = budget.fabric
    pairs = [(i, t) for i in range(fabric.n_neurons) for t in range(fabric.n_tiles)]
    steps = data.draw(st.lists(st.sampled_from(pairs), max_size=30))
    state, linked = budget.start(nothing(budget)), set()
    for pair in steps:
        before = counted(
            budget,
            Connectivity.of(*zip(*linked, strict=True), fabric.n_neurons, fabric.n_tiles)
            if linked
            else nothing(budget),
        )
        if pair in linked:
            state.remove(*pair)
            linked.remove(pair)
            continue
        own = budget.tile_of[pair[0]]
        if own == pair[1]:
            assert state.admits(*pair)  # the own tile uses no channel and has no quota
            continue
        column = list(fabric.hop_classes).index(fabric.hop_distance[own, pair[1]])
        assert state.admits(*pair) == (before[own, column] < budget.quota()[own, column])
        if state.admits(*pair):
            state.add(*pair)
            linked.add(pair)
        assert state.excess().worst <= 0


def test_every_admissible_pair_is_equally_likely():
    fabric = mosaic((2, 2), 3)
    tile_of = np.repeat(np.arange(4), 3)
    budget = HopProfile.of(fabric, {1: 0.5}, tile_of)
    linked = Connectivity.of([0], [1], 12, 4)  # one of the six pairs of tile 0 is taken
    rng, hits, draws = np.random.default_rng(7), np.zeros((12, 4)), 3000
    for _ in range(draws):
        added = budget.start(linked).fill(linked, 12, rng)
        hits[added.source, added.target] += 1
    expected = np.zeros((12, 4))
    for i in range(12):
        for t in range(4):
            if fabric.hop_distance[tile_of[i], t] == 1:
                expected[i, t] = 0.4 if i < 3 else 0.5  # 2 of 5 free pairs, else 3 of 6
    expected[0, 1] = 0
    deviation = np.sqrt(draws * expected * (1 - expected))
    assert (np.abs(hits - draws * expected) <= 5 * deviation + 1e-9).all()


@settings(deadline=None, max_examples=30)
@given(budgets(largest=3), st.integers(0, 99), st.floats(0, 1))
def test_rejection_finds_everything_that_is_admissible(budget, seed, share):
    wanted = int(share * budget.branches()) + 1
    state = budget.start(nothing(budget))
    added = fill_by_rejection(state, nothing(budget), wanted, np.random.default_rng(seed), budget.tile_of)
    assert len(added) == min(wanted, budget.branches())
    assert (counted(budget, added) <= budget.quota()).all()


def test_the_farthest_class_gets_its_quota():
    """The public code of the paper leaves its loop one class early."""
    fabric = mosaic((3, 3), 2)
    farthest = max(fabric.hop_classes)
    budget = HopProfile.of(fabric, {farthest: 1.0}, np.repeat(np.arange(9), 2))
    added = budget.start(nothing(budget)).fill(nothing(budget), budget.branches(), np.random.default_rng(0))
    assert set(added.target.tolist()) == {0, 2, 6, 8}
    assert len(added) == 4 * 2


def test_an_impossible_profile_names_its_classes():
    fabric = mosaic((2, 3), 4)
    with pytest.raises(BudgetError) as caught:
        parse_profile({1: 1.2, 2: 0.1, 3: -0.1, 99: 0.5}, fabric)
    text = str(caught.value)
    assert "class 1 has density 1.2, allowed 0 to 1" in text
    assert "class 3 has density -0.1" in text
    assert "no hop class 2" in text
    assert "no hop class 99" in text
    assert "hop classes of this chip: 1, 3, 5" in text
    with pytest.raises(BudgetError, match="nan"):
        parse_profile({1: float("nan")}, fabric)
    with pytest.raises(BudgetError, match="no hop class 0"):
        parse_profile({0: 1.0}, fabric)


def test_one_tile_alone_has_no_classes():
    fabric = mosaic((1, 1), 4)
    budget = HopProfile.of(fabric, {}, np.zeros(4))
    state = budget.start(nothing(budget))
    assert budget.branches() == 0
    assert len(state.fill(nothing(budget), 5, np.random.default_rng(0))) == 0
    assert state.excess().worst == 0
    assert state.excess().fits


def test_excess_names_its_resource():
    fabric = mosaic((2, 3), 4)
    budget = HopProfile.of(fabric, {1: 0.25}, np.repeat(np.arange(6), 4))
    linked = Connectivity.of([0, 1, 2, 3], [1, 1, 1, 3], 24, 6)
    excess = budget.start(linked).excess()
    assert excess.worst == 2
    assert not excess.fits
    assert excess.name(int(excess.excess.argmax())) == "tile 0 (row 0, column 0), hop class 1"


def test_worst_of_slack_is_negative():
    excess = Excess(np.array([1, 2]), np.array([5, 3]), str)
    assert excess.worst == -1
    assert excess.fits
