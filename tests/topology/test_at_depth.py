"""Members of an exact depth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.topology.at_depth import at_depth
from tilewire.topology.table import TOPOLOGIES


@settings(deadline=None, max_examples=15)
@given(st.integers(6, 40), st.integers(6, 40), st.floats(0.1, 1.0), st.integers(0, 6), st.integers(0, 9))
def test_depth_and_budget_hold(n_in, n_out, share, depth, seed):
    budget = int(share * n_in * n_out)
    for name in TOPOLOGIES:
        found = at_depth(name, n_in, n_out, budget, depth, np.random.default_rng(seed))
        if found is not None:
            assert found.weights <= budget
            assert (found.n_in, found.n_out) == (n_in, n_out)
            assert not depth or found.depth == depth


@pytest.mark.parametrize(
    ("name", "depth", "per_node"),
    [
        ("random", 2, 12), ("random", 6, 4), ("butterfly", 6, 4), ("butterfly", 12, 2), ("parallel-sum", 3, 8), ("parallel-union", 6, 4),
        ("parallel-cross", 6, 4), ("clos", 3, 8), ("monarch", 2, 12), ("radix-net", 6, 4), ("benes", 3, 8), ("low-rank", 2, 12),
    ],
)  # fmt: skip
def test_the_budget_is_filled_where_the_family_can(name, depth, per_node):
    found = at_depth(name, 64, 64, 24 * 64, depth, np.random.default_rng(0))
    assert found is not None
    assert found.weights == 24 * 64
    assert found.depth * per_node == 24


def test_fixed_options():
    rng = np.random.default_rng(0)
    skipping = at_depth("random", 32, 32, 400, 3, rng, skip=1)
    assert skipping is not None
    assert all(skipping.skips)
    assert at_depth("clos", 32, 32, 400, 4, rng) is None
    with pytest.raises(UsageError, match="unknown option 'colour'"):
        at_depth("random", 32, 32, 400, 3, rng, colour=1)
    with pytest.raises(UsageError, match="unknown topology"):
        at_depth("randm", 32, 32, 400, 3, rng)
