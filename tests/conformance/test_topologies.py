"""What every topology of the table promises, over square, odd, prime and unequal widths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import TilewireError, UsageError
from tilewire.nn.initialise_sparse import initial_values, output_variance
from tilewire.topology.controllability import controllability, controllability_rank
from tilewire.topology.paths import path_counts
from tilewire.topology.stage import ABSENT
from tilewire.topology.table import TOPOLOGIES, members

WIDTHS = [(16, 16), (36, 36), (13, 13), (18, 10), (7, 20), (2, 2), (3, 7)]
REFUSED = {("torus-1d", 2), ("torus-2d", 2), ("torus-2d", 7), ("torus-2d", 13)}
CASES = [(name, *widths) for name in TOPOLOGIES for widths in WIDTHS]


def build(name, n_in, n_out):
    """The default member, or a skip where the family refuses the widths by its own name with a fix."""
    if (name, max(n_in, n_out)) not in REFUSED:
        return TOPOLOGIES[name](n_in, n_out, np.random.default_rng(3))
    with pytest.raises(UsageError, match=f"^{name}: ") as found:
        TOPOLOGIES[name](n_in, n_out, np.random.default_rng(3))
    assert found.value.hint
    return pytest.skip("refused by name")


@pytest.mark.parametrize(("name", "n_in", "n_out"), CASES)
def test_index_functions(name, n_in, n_out):
    topology = build(name, n_in, n_out)
    assert (topology.name, topology.n_in, topology.n_out) == (name, n_in, n_out)
    for stage in topology.stages:
        table = stage.inputs(np.arange(stage.n_out))
        assert table.shape == (stage.n_out, stage.fan_in)
        assert ABSENT <= table.min() <= table.max() < stage.n_in
        assert stage.ragged or table.min() >= 0
        for row, own in enumerate(table):
            live = own[own >= 0].tolist()
            assert len(live) == len(set(live)), f"repeats in row {row}"
        some = np.array([stage.n_out - 1, 0])
        assert np.array_equal(stage.inputs(some), table[some]), "a vectorised function of i alone"
        assert stage.weights == (table >= 0).sum() == len(stage.connectivity())
    assert topology.weights == sum(stage.weights for stage in topology.stages)
    assert topology.storage_bytes()["weights"] == 4 * topology.weights


@pytest.mark.parametrize(("name", "n_in", "n_out"), CASES)
def test_reach_and_freedom(name, n_in, n_out):
    topology = build(name, n_in, n_out)
    counts = path_counts(topology)
    assert counts.shape == (n_out, n_in)
    if TOPOLOGIES[name].full:
        assert counts.min() >= 1
    closed = controllability(topology)
    assert closed <= min(topology.weights, n_in * n_out)
    if topology.weights <= 900:
        assert controllability_rank(topology, np.random.default_rng(0)) <= closed


@pytest.mark.parametrize("name", [name for name, family in TOPOLOGIES.items() if family.even])
@pytest.mark.parametrize("width", [16, 36])
def test_constant_fan(name, width):
    for stage in build(name, width, width).stages:
        assert len(set(stage.fan_ins.tolist())) == 1
        assert len(set(stage.fan_outs.tolist())) == 1


@pytest.mark.parametrize(("name", "n_in", "n_out"), CASES)
def test_output_variance_of_the_default_law(name, n_in, n_out):
    topology, rng = build(name, n_in, n_out), np.random.default_rng(1)
    drawn = [output_variance(topology, initial_values(topology, rng), rng) for _ in range(5)]
    assert np.allclose(drawn, 1)


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize(("n_in", "n_out", "share"), [(48, 48, 0.3), (30, 12, 0.5), (17, 17, 0.6)])
def test_proposals_keep_the_budget_and_can_be_built(name, n_in, n_out, share):
    budget = int(share * n_in * n_out)
    for member in members(name, n_in, n_out, budget, np.random.default_rng(0)):
        assert 0 < member.weights <= budget
        assert (member.n_in, member.n_out) == (n_in, n_out)
        again = TOPOLOGIES[name](n_in, n_out, np.random.default_rng(0), **dict(member.options))
        assert again.depth == member.depth


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_bad_calls_are_refused_by_name(name):
    family, rng = TOPOLOGIES[name], np.random.default_rng(0)
    with pytest.raises(TilewireError, match="at least 2"):
        family(1, 8, rng)
    with pytest.raises(UsageError, match="unknown option 'colour'"):
        family(8, 8, rng, colour=1)
    if family.drawn:
        with pytest.raises(UsageError, match="drawn at random"):
            family(8, 8)
    else:
        assert all(not stage.stored for stage in family(36, 36).stages), "implied wiring stores no index"
        assert family(36, 36).storage_bytes()["indices"] == 0


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(2, 40), st.floats(0.02, 1.0), st.integers(0, 9))
def test_proposals_of_any_widths_can_be_built(n_in, n_out, share, seed):
    budget = max(n_in, n_out, int(share * n_in * n_out))
    for name in TOPOLOGIES:
        for member in members(name, n_in, n_out, budget, np.random.default_rng(seed)):
            assert member.weights <= budget
            for stage in member.stages:
                table = stage.inputs(np.arange(stage.n_out))
                assert stage.weights == stage.rows.source.size == (table >= 0).sum()
