"""Scores without data, and the search that orders designs by them."""

from __future__ import annotations

import numpy as np
import pytest

from tilewire.errors import BudgetError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.nn.initialise_sparse import initial_values, product
from tilewire.nn.rank import composite, rank
from tilewire.nn.score import SCORES, Case, isometry, ntk_participation, score, spectral_gap, wiring
from tilewire.topology.paths import path_counts
from tilewire.topology.table import TOPOLOGIES, family


def case_of(name, n_in=24, n_out=24, law="auto", **options):
    rng = np.random.default_rng(0)
    topology = family(name)(n_in, n_out, rng, **options)
    return Case(topology, initial_values(topology, rng, law), rng)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_all_scores_of_all_families_are_finite(name):
    found = score(family(name)(24, 24, np.random.default_rng(0)), np.random.default_rng(0), fabric=mesh((2, 3), 4))
    assert set(found) == set(SCORES)
    assert all(value is not None and np.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("name", "options"), [("random", {"depth": 3, "fan_in": 4}), ("parallel-sum", {}), ("parallel-cross", {})]
)
def test_isometry_and_gap_against_singular_values(name, options):
    case = case_of(name, **options)
    s = np.linalg.svd(product(case.topology, case.values, np.eye(24)), compute_uv=False)
    assert isometry(case) == pytest.approx((s**2).sum() ** 2 / (24 * (s**4).sum()))
    s = np.linalg.svd(path_counts(case.topology), compute_uv=False)
    assert spectral_gap(case) == pytest.approx(1 - s[1] / s[0], abs=1e-3)


def test_ntk_against_the_derivative():
    case = case_of("random", 10, 8, depth=2, fan_in=3)
    x = np.random.default_rng(5).standard_normal((10, 10))
    case = Case(case.topology, case.values, np.random.default_rng(5))
    first, second = (stage for stage in case.topology.stages)
    w1, w2 = case.matrices[0]
    kernel = np.zeros((10, 10))
    for i, j in zip(first.outputs, first.rows.source, strict=True):
        kernel += np.outer(x[j], x[j]) * (w2[:, i] ** 2).sum()
    for _, j in zip(second.outputs, second.rows.source, strict=True):
        kernel += np.outer((w1 @ x)[j], (w1 @ x)[j])
    expected = np.trace(kernel) ** 2 / (10 * (kernel**2).sum())
    assert ntk_participation(case) == pytest.approx(expected)


def test_isometry_follows_the_law_that_training_uses():
    assert isometry(case_of("butterfly")) == pytest.approx(1)
    assert isometry(case_of("butterfly", law="variance")) < 0.4
    assert isometry(case_of("dense", 100, 100, law="variance")) == pytest.approx(0.5, abs=0.05)
    assert isometry(case_of("monarch", 300, 24)) <= 1 + 1e-9
    assert isometry(case_of("butterfly", 256, 256)) == pytest.approx(1)


def test_wiring_counts_branches():
    fabric = mesh((1, 4), 4)
    ring = family("torus-1d")(16, 16, depth=1)
    found = wiring(ring, fabric)
    assert (
        found["edge_cut"] == 8
    )  # two border neurons a tile, each read by the next tile; the ring closes over the chip
    assert found["hops"] == 6 * 2 + 2 * 4
    assert score(ring, np.random.default_rng(0), names=["edge_cut"]) == {"edge_cut": None}


def test_rank_searches_within_the_budget():
    designs = rank(48, 48, 900, seeds=1)
    assert all(design.topology.weights <= 900 for design in designs)
    values = [design.composite for design in designs]
    assert values == pytest.approx(sorted(values, reverse=True))
    assert all(0 <= value <= 1 for value in values)
    names = {design.topology.name for design in designs}
    assert {"butterfly", "clos", "monarch", "random", "low-rank"} <= names
    assert len({design.topology.options for design in designs if design.topology.name == "butterfly"}) > 2
    best = designs[0]
    assert set(best.scores) == set(SCORES)
    assert best.scores["isometry"] == pytest.approx(1)
    again = rank(48, 48, 900, seeds=1)
    assert [(d.topology.name, d.composite) for d in again] == [(d.topology.name, d.composite) for d in designs]


def test_a_prime_and_a_narrow_end():
    assert rank(47, 11, 300, seeds=1)[0].topology.weights <= 300


def test_composite_rewards_each_part():
    base = {"isometry": 0.5, "reach": 0.5, "controllability": 50.0, "paths_variation": 1.0}
    for key, better in (("isometry", 0.9), ("reach", 1.0), ("controllability", 90.0), ("paths_variation", 0.0)):
        assert composite(base | {key: better}, 100, 1000) > composite(base, 100, 1000)


def test_refusals():
    with pytest.raises(BudgetError, match="below one edge per neuron"):
        rank(64, 64, 63)
    with pytest.raises(BudgetError, match="no member of dense"):
        rank(64, 64, 100, families=["dense"])
    with pytest.raises(UsageError, match="did you mean 'isometry'"):
        score(family("dense")(4, 4), np.random.default_rng(0), names=["isometri"])
