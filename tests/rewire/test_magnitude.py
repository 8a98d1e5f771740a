import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.rewire.drop import DROP_RULES, BranchThreshold, build_drop
from tilewire.rewire.magnitude import Rigl, SmallestNorm


def slow_smallest(weight, live, share):
    """One at a time: the live unit of least norm, the first of equals."""
    left = [u for u in range(len(weight)) if live[u]]
    dies = set()
    for _ in range(round(share * len(left))):
        worst = min(left, key=lambda u: (float(np.linalg.norm(weight[u])), u))
        left.remove(worst)
        dies.add(worst)
    return np.array([u in dies for u in range(len(weight))], bool)


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_smallest_norm_is_the_slow_one(seed, share):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-2, 3, (int(rng.integers(0, 12)), int(rng.integers(1, 4)))).astype(np.float32)
    assert np.array_equal(SmallestNorm(share)(weight), slow_smallest(weight, weight.any(axis=1), share))


def test_empty_slots_are_no_candidates():
    weight = np.array([[0, 0], [1, 1], [3, 3], [0, 0], [2, 2]], np.float32)
    assert np.flatnonzero(SmallestNorm(1 / 3)(weight)).tolist() == [1]


def test_rigl_follows_the_cosine():
    weight = np.arange(1, 101, dtype=np.float32)[:, None]
    rule = Rigl(0.4, horizon=10)
    dropped = [int(rule.at(k)(weight).sum()) for k in range(13)]
    assert dropped[0] == 40
    assert dropped[5] == 20
    assert dropped[10:] == [0, 0, 0]
    assert dropped == sorted(dropped, reverse=True)
    assert int(Rigl(0.4).at(10**6)(weight).sum()) == 40
    assert int(Rigl(0.4, horizon=0).at(0)(weight).sum()) == 0
    assert np.array_equal(rule(weight), rule.at(0)(weight))


@pytest.mark.parametrize("rule", [SmallestNorm, Rigl])
@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_shares_outside_the_unit_are_refused(rule, share):
    with pytest.raises(UsageError, match="share"):
        rule(share)


def test_rules_by_name_take_the_options_they_know():
    assert build_drop("set", 0.1, 0.5, share=0.1, l1=3.0, temperature=None) == SmallestNorm(0.1)
    assert build_drop("rigl", 0.1, 0.5, share=None, horizon=7) == Rigl(0.3, 7)
    assert build_drop("branch-threshold", 0.1, 0.5, share=0.9) == BranchThreshold(0.1, 0.5)
    assert set(DROP_RULES) == {"branch-threshold", "set", "rigl", "deepr", "soft-deepr"}
    with pytest.raises(UsageError, match=r"did you mean 'deepr'"):
        build_drop("depr", 0.1, 0.5)
