"""Spike events: the record, its contract, and the way to and from dense arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.kernels.events import SpikeEvents


@settings(deadline=None, max_examples=60)
@given(st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(0, 6)), st.integers(0, 99), st.floats(0, 1))
def test_dense_round_trip_and_totals(shape, seed, rate):
    rng = np.random.default_rng(seed)
    dense = (rng.integers(1, 9, shape) * (rng.random(shape) < rate)).astype(np.float32)
    events = SpikeEvents.from_dense(dense)
    assert events.batch == shape[0]
    np.testing.assert_array_equal(events.to_dense(), dense)
    np.testing.assert_array_equal(events.totals(), dense.sum(1))


def test_types_are_fixed():
    events = SpikeEvents.from_dense(np.ones((2, 3, 4), bool))
    assert (events.ptr.dtype, events.channel.dtype, events.count.dtype) == (np.int64, np.int32, np.float32)


@pytest.mark.parametrize(
    ("ptr", "channel", "count", "word"),
    [
        ([0, 1, 2, 3], [0, 1, 2], [1, 1, 1], "ptr has 4"),
        ([0, 2, 1], [0], [1], "rise"),
        ([0, 1, 3], [0, 1], [1, 1], "rise"),
        ([0, 2, 2], [1, 1], [1, 1], "ascend"),
        ([0, 2, 2], [2, 1], [1, 1], "ascend"),
        ([0, 1, 2], [0, 5], [1, 1], "limit 0..4"),
        ([0, 1, 2], [0, -1], [1, 1], "limit"),
        ([0, 1, 2], [0, 1], [1], "counts"),
        ([0, 1, 2], [0, 1], [1, np.nan], "finite"),
    ],
)
def test_contract_is_checked(ptr, channel, count, word):
    with pytest.raises(UsageError, match=word):
        SpikeEvents(2, 5, np.array(ptr), np.array(channel), np.array(count))


def test_descending_across_cells_is_allowed():
    events = SpikeEvents(2, 5, np.array([0, 2, 4]), np.array([3, 4, 0, 1]), np.ones(4))
    assert events.to_dense()[0].nonzero()[1].tolist() == [3, 4, 0, 1]


@pytest.mark.parametrize("shape", [(2, 3), (2, 0, 3)])
def test_from_dense_refuses_other_shapes(shape):
    with pytest.raises(UsageError, match="batch, steps"):
        SpikeEvents.from_dense(np.zeros(shape))
