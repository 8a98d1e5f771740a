"""Resamples and intervals over few seeds."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import t

from tilewire.statement.bootstrap import DRAWS, interval, resamples, tail


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_all_resamples_are_listed_with_their_probability(n: int) -> None:
    shares, probability = resamples(n, np.random.default_rng(0))
    slow = Counter(tuple(np.bincount(drawn, minlength=n).tolist()) for drawn in itertools.product(range(n), repeat=n))
    listed = {tuple(np.rint(row * n).astype(int).tolist()): p for row, p in zip(shares, probability, strict=True)}
    assert listed.keys() == slow.keys()
    assert all(math.isclose(p, slow[key] / n**n) for key, p in listed.items())


def test_many_seeds_are_drawn() -> None:
    shares, probability = resamples(12, np.random.default_rng(0))
    assert shares.shape == (DRAWS, 12)
    assert np.allclose(shares.sum(axis=1), 1)
    assert math.isclose(probability.sum(), 1)
    assert abs(shares.mean() - 1 / 12) < 1e-12


def test_few_seeds_leave_out_less() -> None:
    assert tail(5) < tail(10) < tail(1000) < 0.025
    assert math.isclose(tail(100_000), 0.025, rel_tol=1e-3)


@pytest.mark.parametrize("n", [5, 8, 20])
def test_interval_of_a_mean_is_about_students(n: int) -> None:
    rng = np.random.default_rng(3)
    shares, probability = resamples(n, rng)
    ratio = []
    for _ in range(40):
        values = rng.normal(size=n)
        low, high = interval(shares @ values, probability, n)
        half = t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5
        assert low is not None
        assert high is not None
        ratio.append((high - low) / (2 * half))
    assert 0.8 < np.mean(ratio) < 1.2, "plain percentiles would give 0.63 for 5 seeds"


def test_ends_that_nothing_bounds() -> None:
    shares, probability = resamples(5, np.random.default_rng(0))
    values = shares @ np.arange(5.0)
    assert interval(values[:, None][:, 0], probability, 4) == (None, None)
    assert interval(np.full(len(values), np.nan), probability, 5) == (None, None)
    low, high = interval(np.where(values > 3.5, np.inf, values), probability, 5)
    assert low is not None
    assert high is None
    holes = np.where(values == 2.0, np.nan, values)
    assert interval(holes, probability, 5) == interval(values, probability, 5)
