"""Initial weights of sparse cascades."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.nn.initialise_sparse import initial_values, orthogonal_law, output_variance, product, variance_law
from tilewire.topology.table import family

DEEP = {
    "butterfly": {"radix": 2, "passes": 6}, "parallel-sum": {"radix": 2, "passes": 6}, "parallel-union": {"partners": 2, "depth": 24},
    "parallel-cross": {"partners": 2, "depth": 24}, "hypercube": {"depth": 24}, "torus-1d": {"depth": 24}, "torus-2d": {"depth": 24},
    "random": {"depth": 24, "fan_in": 2}, "radix-net": {"systems": 6}, "uniform": {"depth": 24}, "givens": {"depth": 24},
    "small-world": {"depth": 24}, "benes": {}, "clos": {}, "monarch": {}, "pixelfly": {"rank": 2}, "low-rank": {},
}  # fmt: skip


def drawn_variances(name, seeds, law="auto"):
    topology = family(name)(16, 16, np.random.default_rng(0), **DEEP[name])
    drawn = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        drawn.append(output_variance(topology, initial_values(topology, rng, law), rng))
    return drawn


@pytest.mark.parametrize("name", DEEP)
def test_every_draw_keeps_the_variance_to_depth_24(name):
    assert np.allclose(drawn_variances(name, 8), 1)


@pytest.mark.parametrize(
    ("name", "law"), [("random", "auto"), ("parallel-sum", "auto"), ("clos", "variance"), ("monarch", "variance")]
)
def test_mean_over_200_seeds(name, law):
    assert np.mean(drawn_variances(name, 200, law)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["butterfly", "clos", "monarch", "benes", "givens", "dense"])
def test_products_are_orthogonal(name):
    rng = np.random.default_rng(0)
    topology = family(name)(36, 36, rng)
    w = product(topology, initial_values(topology, rng), np.eye(36))
    assert np.allclose(w @ w.T, np.eye(36))


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 99))
def test_blocks_of_any_shape(n_in, n_out, seed):
    rng = np.random.default_rng(seed)
    topology = family("monarch")(n_in, n_out)
    for stage in topology.stages:
        if stage.dense_blocks is not None:
            values = orthogonal_law(stage, rng)
            assert (values**2).sum() == pytest.approx(stage.n_out)
            covered = np.concatenate([position.ravel() for _, position in stage.dense_blocks])
            assert np.array_equal(np.sort(covered), np.arange(stage.weights))


def test_variance_per_neuron():
    rng = np.random.default_rng(0)
    stage = family("uniform")(200, 300, rng, depth=1, weights=9000).stages[0]
    drawn = np.stack([variance_law(stage, rng) for _ in range(300)])
    spread = np.bincount(stage.outputs, (drawn**2).mean(axis=0), minlength=300)
    assert spread[stage.fan_ins > 0] == pytest.approx(1, abs=0.15)
    drawn = np.stack([variance_law(stage, rng, "fan-out") for _ in range(300)])
    assert np.bincount(stage.rows.source, (drawn**2).mean(axis=0)) == pytest.approx(1, abs=0.15)
    both = variance_law(stage, rng, "both")
    assert both.shape == (9000,)


def test_refusals():
    rng = np.random.default_rng(0)
    ring = family("torus-1d")(12, 12)
    with pytest.raises(UsageError, match="disjoint dense blocks"):
        initial_values(ring, rng, "orthogonal")
    with pytest.raises(UsageError, match="did you mean 'variance'"):
        initial_values(ring, rng, "varianc")
    with pytest.raises(UsageError, match="unknown mode"):
        variance_law(ring.stages[0], rng, "up")
