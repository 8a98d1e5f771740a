"""Degrees of freedom: closed form against the rank of the derivative."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tilewire.errors import UsageError
from tilewire.topology.controllability import controllability, controllability_rank, gauge
from tilewire.topology.low_rank import low_rank_stages
from tilewire.topology.stage import Topology
from tilewire.topology.table import TOPOLOGIES, family
from tilewire.topology.uniform import uniform_stage

AT_64 = [
    ("butterfly", {"passes": 2}, 832),
    ("butterfly", {"radix": 4, "passes": 2}, 1216),
    ("parallel-sum", {}, 896),
    ("clos", {}, 1408),
    ("monarch", {}, 960),
    ("random", {"depth": 2, "fan_in": 12}, 1472),
    ("random", {"depth": 4, "fan_in": 6}, 1344),
    ("random", {"depth": 6, "fan_in": 4}, 1216),
    ("hypercube", {"depth": 3}, 1216),
    ("low-rank", {"rank": 12}, 1392),
    ("parallel-cross", {"partners": 4, "depth": 6}, 1536),
    ("random", {"depth": 6, "fan_in": 4, "skip": 1}, 1536),
]


@pytest.mark.parametrize(("name", "options", "expected"), AT_64)
def test_closed_form_at_64(name, options, expected):
    topology = family(name)(64, 64, np.random.default_rng(0), **options)
    assert controllability(topology) == expected
    losses = topology.weights - expected
    assert losses >= 0


@pytest.mark.parametrize(("name", "options", "expected"), AT_64[:5])
def test_rank_at_64(name, options, expected):
    assert controllability_rank(family(name)(64, 64, **options), np.random.default_rng(0)) == expected


@pytest.mark.parametrize(
    "name", ["butterfly", "clos", "monarch", "parallel-sum", "low-rank", "parallel-cross", "random", "givens"]
)
@pytest.mark.parametrize("width", [12, 16, 27])
def test_rank_equals_the_closed_form(name, width):
    rng = np.random.default_rng(1)
    options = {"random": {"fan_in": 4}, "givens": {"density": 0.3}}.get(name, {})
    topology = family(name)(width, width, rng, **options)
    assert controllability_rank(topology, rng) == controllability(topology)


def test_a_ring_has_less_and_dead_nodes_count_for_nothing():
    rng = np.random.default_rng(0)
    ring = family("torus-1d")(32, 32, halo=1, depth=4)
    assert controllability_rank(ring, rng) < controllability(ring)
    sparse = family("uniform")(24, 24, rng, depth=3, weights=150)
    closed = controllability(sparse)
    assert controllability_rank(sparse, rng) <= closed < 150 - 40
    assert all(stage.fan_ins.sum() == stage.rows.source.size == stage.weights for stage in sparse.stages), (
        "nothing was changed"
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(4, 9), st.integers(1, 4), st.floats(0, 1), st.integers(0, 99))
def test_never_above_the_closed_form(width, depth, share, seed):
    rng = np.random.default_rng(seed)
    edges = round(2 * width + share * (width - 2) * width)
    topology = Topology("drawn", (tuple(uniform_stage(width, width, edges, rng) for _ in range(depth)),), "")
    assert controllability_rank(topology, rng) <= controllability(topology)


@pytest.mark.parametrize("hidden", [2, 4, 7, 12])
def test_more_hidden_nodes_than_ends(hidden):
    topology = Topology("wide", (low_rank_stages(4, 6, hidden),), "")
    expected = 24 if hidden >= 4 else hidden * 10 - hidden**2
    assert controllability(topology) == expected
    assert controllability_rank(topology, np.random.default_rng(0)) == expected


def test_limit():
    with pytest.raises(UsageError, match="4096"):
        controllability_rank(TOPOLOGIES["dense"](80, 80), np.random.default_rng(0))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 8), st.booleans(), st.integers(0, 99))
def test_gauge_against_the_definition(nodes, inputs, outputs, regular, seed):
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 2, (nodes, inputs)).astype(float)
    after = rng.permuted(np.tile(np.arange(outputs) < (outputs + 1) // 2, (nodes, 1)), axis=1).astype(float)
    after = after if regular else rng.integers(0, 2, (nodes, outputs)).astype(float)
    expected = 0
    for p in range(nodes):
        if after[p].any() and before[p].any():
            same = [q for q in range(nodes) if (before[q] == before[p]).all() and (after[q] == after[p]).all()]
            expected += min(len(same), int(before[p].sum()))
    assert gauge(csr_array(before), csr_array(after)) == expected
