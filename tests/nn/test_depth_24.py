"""Every family of the table as a chain of 24 stages: the size of the signals at the default initial law."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest

from tilewire.nn.initialise_sparse import initial_values, product
from tilewire.topology.stage import Topology
from tilewire.topology.table import TOPOLOGIES

DEPTH = 24
DEEP = {
    "parallel-sum": {"passes": 6}, "parallel-union": {"depth": DEPTH}, "parallel-cross": {"depth": DEPTH}, "hypercube": {"depth": DEPTH},
    "torus-1d": {"depth": DEPTH}, "torus-2d": {"depth": DEPTH}, "random": {"depth": DEPTH, "fan_in": 2}, "uniform": {"depth": DEPTH},
    "givens": {"depth": DEPTH}, "small-world": {"depth": DEPTH}, "pixelfly": {"rank": 2},
}  # fmt: skip
EXACT = ("dense", "butterfly", "benes", "clos", "monarch", "givens")


def chain(name, width, seed):
    """The initial product of 24 stages, [width, width]: members in a row as one topology; pixelfly has no more than its two."""
    rng = np.random.default_rng(seed)
    one = TOPOLOGIES[name](width, width, rng, **DEEP.get(name, {}))
    if len(one.branches) == 1:
        one = Topology(name, (one.branches[0] * ceil(DEPTH / one.depth),), "in a row")
    return product(one, initial_values(one, rng), np.eye(width))


def output_variance(matrix):
    """Mean over the outputs of their variance at white inputs, dead outputs left out."""
    power = (matrix**2).sum(axis=1)
    return power[power > 0].mean()


@pytest.mark.parametrize("name", EXACT)
def test_exact_where_orthogonal(name):
    w = chain(name, 16, 0)
    assert np.allclose(w @ w.T, np.eye(16))


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_a_few_draws(name):
    assert np.mean([output_variance(chain(name, 16, seed)) for seed in range(4)]) == pytest.approx(1, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize("width", [16, 36])
def test_mean_over_200_seeds(name, width):
    drawn = [output_variance(chain(name, width, seed)) for seed in range(200)]
    assert np.mean(drawn) == pytest.approx(1, abs=0.05)
    if name in EXACT:
        assert np.allclose(drawn, 1)
