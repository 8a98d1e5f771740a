import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.nn.initialise import INITIAL_LAWS, AboveThreshold


@settings(deadline=None, max_examples=50)
@given(st.floats(1e-3, 10), st.floats(0, 10), st.integers(0, 99))
def test_newborns_stand_above_the_threshold(threshold, alpha, seed):
    weight = AboveThreshold(threshold, alpha)((7, 9), np.random.default_rng(seed))
    assert weight.shape == (7, 9)
    assert weight.dtype == np.float32
    assert (np.abs(weight) >= np.float32(threshold) * (1 - 1e-6)).all()


def test_the_law_is_sign_times_threshold_times_one_plus_alpha_half_normal():
    threshold, alpha = 0.05, 2.0
    weight = AboveThreshold(threshold, alpha)((2000, 50), np.random.default_rng(0)).astype(np.float64)
    g = (np.abs(weight) / threshold - 1) / alpha
    assert abs((weight > 0).mean() - 0.5) < 0.01
    assert abs(g.mean() - np.sqrt(2 / np.pi)) < 0.01
    assert abs((g**2).mean() - 1) < 0.02
    assert abs((g < 0.6745).mean() - 0.5) < 0.01  # the median of a half-normal


def test_drawn_from_the_generator_alone():
    law = AboveThreshold(0.1)
    assert np.array_equal(law((3, 4), np.random.default_rng(1)), law((3, 4), np.random.default_rng(1)))
    assert law((0, 4), np.random.default_rng(1)).shape == (0, 4)


def test_tiny_newborns_are_there_but_change_nothing():
    weight = INITIAL_LAWS["tiny"](0.05, 2.0)((50, 8), np.random.default_rng(0))
    assert weight.dtype == np.float32
    assert (np.abs(weight) == np.float32(1e-12)).all()
    assert 0.3 < (weight > 0).mean() < 0.7
