import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.budgets import build_budget
from tilewire.rewire.grow import GROW_RULES, ByGradient, absent_branches, uniform


def started(seed, kind="fan"):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 5))
    fabric = mosaic((int(rng.integers(1, 4)), int(rng.integers(2, 4))), size, router=2)
    tile_of = (np.arange(fabric.n_neurons) // size).astype(np.int32)
    budget = build_budget(kind, fabric, tile_of, {"fan_in": 3, "fan_out": 2, "router": "one-turn"})
    state = budget.start(Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles))
    linked = state.fill(Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles), int(rng.integers(0, 4)), rng)
    return budget, state, linked, tile_of


def keys(branches):
    return branches.source.astype(np.int64) * branches.n_targets + branches.target


def slow_guided(budget, linked, score_of, wanted):
    """One by one: the best admissible absent branch."""
    state, chosen = budget.start(linked), []
    while len(chosen) < wanted:
        left = [
            k for k in absent_branches(linked) if k not in chosen and state.admits(*divmod(int(k), linked.n_targets))
        ]
        if not left:
            break
        best = max(left, key=lambda k: score_of[k])
        state.add(*divmod(int(best), linked.n_targets))
        chosen.append(best)
    return sorted(chosen)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["fan", "ports"]))
def test_greedy_by_score_is_the_slow_one(seed, kind):
    budget, state, linked, _ = started(seed, kind)
    rng = np.random.default_rng(seed)
    table = rng.permutation(linked.n_sources * linked.n_targets).astype(float)  # no ties
    wanted = int(rng.integers(1, 8))
    grown = ByGradient(lambda absent: table[keys(absent)], explore=0.0)(state, linked, wanted, rng)
    assert keys(grown).tolist() == slow_guided(budget, linked, table, wanted)
    assert state.excess().fits


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), explore=st.floats(0, 1), pool=st.none() | st.integers(1, 6))
def test_newborns_are_new_admitted_and_counted(seed, explore, pool):
    budget, state, linked, tile_of = started(seed)
    rng = np.random.default_rng(seed)
    grown = ByGradient(lambda absent: rng.random(len(absent)), explore, pool)(state, linked, 6, rng)
    assert not set(keys(grown)) & set(keys(linked))
    assert not np.any(tile_of[grown.source] == grown.target)
    assert len(grown) <= 6
    union = Connectivity.of(
        np.concatenate([linked.source, grown.source]),
        np.concatenate([linked.target, grown.target]),
        linked.n_sources,
        linked.n_targets,
    )
    assert np.array_equal(state.excess().use, budget.start(union).excess().use), "the state holds what was born"
    left = budget.start(union)
    if len(grown) < 6:
        assert not any(left.admits(*divmod(int(k), linked.n_targets)) for k in absent_branches(union)), (
            "short only when full"
        )


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_absent_branches(seed):
    _, _, linked, tile_of = started(seed)
    have = set(zip(linked.source.tolist(), linked.target.tolist(), strict=True))
    slow = [
        n * linked.n_targets + t
        for n in range(linked.n_sources)
        for t in range(linked.n_targets)
        if tile_of[n] != t and (n, t) not in have
    ]
    assert absent_branches(linked).tolist() == slow


def test_exploration_reaches_what_the_score_never_would():
    """Half of the newborns are drawn whatever the score says, from all that is admissible."""
    seen = set()
    for seed in range(60):
        fabric = mosaic((1, 3), 2)
        tile_of = (np.arange(6) // 2).astype(np.int32)
        none = Connectivity.of([], [], 6, 3)
        state = build_budget("fan", fabric, tile_of, {"fan_in": 4}).start(none)
        grown = ByGradient(lambda absent: -keys(absent).astype(float), 0.5)(state, none, 2, np.random.default_rng(seed))
        assert 1 in keys(grown), "neuron 0 -> tile 1 scores best"
        seen |= set(keys(grown).tolist())
    assert len(seen) == absent_branches(none).size


def test_tables_and_refusals():
    assert GROW_RULES["uniform"](score=None, explore=0.1, pool=None) is uniform
    assert GROW_RULES["gradient"](score=len, explore=0.1, pool=4) == ByGradient(len, 0.1, 4)
    with pytest.raises(UsageError, match="exploration"):
        ByGradient(len, 1.2)
