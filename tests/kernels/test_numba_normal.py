"""Normal numbers against numpy's own, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.kernels.numba_normal import above, standard_normal


def bits(values):
    return values.view(np.uint32)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**63), before=st.integers(0, 3), shape=st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_the_numbers_and_the_generator_after_them_are_those_of_numpy(seed, before, shape):
    ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
    for rng in (ours, theirs):
        rng.integers(0, 7, before, dtype=np.uint32)  # leaves half a word over, or not
    for _ in range(3):
        want = theirs.standard_normal(shape, dtype=np.float32)
        got = standard_normal(shape, ours)
        assert got.shape == want.shape
        assert np.array_equal(bits(got), bits(want))
        assert ours.bit_generator.state == theirs.bit_generator.state


def test_the_edges_and_the_tail_of_the_bell_are_those_of_numpy():
    want = np.random.default_rng(4).standard_normal(2_000_000, dtype=np.float32)
    got = standard_normal(want.shape, np.random.default_rng(4))
    assert np.abs(want).max() > 4.5
    assert np.array_equal(bits(got), bits(want))


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64DXSM, np.random.Philox])
def test_other_generators_draw_for_themselves(kind):
    want = np.random.Generator(kind(5)).standard_normal((3, 4), dtype=np.float32)
    assert np.array_equal(standard_normal((3, 4), np.random.Generator(kind(5))), want)


def test_above_a_threshold():
    g = np.array([[-2.0, -0.0], [0.0, 1.5]], np.float32)
    want = np.copysign((np.abs(g) * 3 + 1) * np.float32(0.1), g)
    assert np.array_equal(bits(above(g.copy(), np.float32(0.1), np.float32(3))), bits(want))
