import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.rewire.split import SPLITS, split


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 100_000))
def test_shares_are_exact_and_within_bounds(seed):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, int(rng.choice([3, 50, 100_000])), int(rng.integers(1, 9)))
    weight = rng.random(size.size) * size + 1e-6
    total = int(rng.integers(size.size, size.sum() + 1))
    share = split(total, weight, size)
    assert share.sum() == total
    assert np.all((share >= 1) & (share <= size))
    # Largest remainder: no layer between its bounds is a whole unit off its proportional target.
    free = (share > 1) & (share < size)
    ratio = share[free] / weight[free]
    for a in range(ratio.size):
        for b in range(ratio.size):
            assert (share[free][a] - 1) / weight[free][a] <= (share[free][b] + 1) / weight[free][b] + 1e-9


def test_a_hand_count():
    assert split(10, [1.0, 1.0, 1.0], [100, 100, 100]).tolist() == [4, 3, 3]
    assert split(10, [1.0, 1.0, 8.0], [100, 100, 4]).tolist() == [3, 3, 4]
    assert split(6, [1000.0, 1.0, 1.0], [100, 100, 100]).tolist() == [4, 1, 1]


@pytest.mark.parametrize("total", [2, 301])
def test_totals_that_cannot_be_met(total):
    with pytest.raises(UsageError, match="live units"):
        split(total, [1.0, 1.0, 1.0], [100, 100, 100])


def test_relative_densities():
    assert SPLITS["erk"]((30, 20)) == pytest.approx(50 / 600)
    assert SPLITS["erk"]((8, 4, 3, 3)) == pytest.approx(18 / 288)
    assert SPLITS["uniform"]((8, 4, 3, 3)) == 1.0
