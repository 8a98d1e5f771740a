import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.data.augment import Augmentation, _kept, batch
from tilewire.data.record import EventPack
from tilewire.errors import DataError


def _pack(rng, n, steps, channels):
    counts = rng.integers(0, 4, (n, steps, channels)) * (rng.random((n, steps, channels)) < 0.5)
    return EventPack.from_dense(counts.astype(np.uint8), np.zeros(n, int))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 8), st.integers(1, 9))
def test_without_augmentation_it_is_the_dense_batch(seed, n, steps, channels):
    rng = np.random.default_rng(seed)
    pack = _pack(rng, n, steps, channels)
    indices = rng.integers(0, n, 5)
    np.testing.assert_array_equal(batch(pack, indices).to_dense(), pack.dense(indices))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12))
def test_shifts_move_each_sample_as_a_whole(seed, channel_span, step_span):
    rng = np.random.default_rng(seed)
    pack = _pack(rng, 4, 7, 9)
    indices = rng.integers(0, 4, 6)
    shifted = batch(pack, indices, Augmentation(channel_span, step_span), np.random.default_rng(seed)).to_dense()
    draw = np.random.default_rng(seed)
    channels = draw.integers(-channel_span, channel_span + 1, 6) if channel_span else np.zeros(6, int)
    steps = draw.integers(-step_span, step_span + 1, 6) if step_span else np.zeros(6, int)
    for got, sample, by_channel, by_step in zip(shifted, pack.dense(indices), channels, steps, strict=True):
        expected = np.zeros_like(sample)
        for t, c in zip(*np.nonzero(sample), strict=True):
            if 0 <= t + by_step < 7 and 0 <= c + by_channel < 9:
                expected[t + by_step, c + by_channel] = sample[t, c]
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("drop", [0.15, 0.5, 0.9])
@pytest.mark.parametrize("spikes", [1, 3, 40])
def test_thinning_is_binomial(drop, spikes):
    uniform = (np.arange(20_000) + 0.5) / 20_000
    kept = np.array([_kept(spikes, drop, u) for u in uniform])
    from scipy.stats import binom

    found = np.bincount(kept, minlength=spikes + 1) / len(kept)
    np.testing.assert_allclose(found, binom.pmf(np.arange(spikes + 1), spikes, 1 - drop), atol=2e-4)


def test_thinning_of_a_full_cell_does_not_underflow():
    kept = [_kept(255, drop, 0.5) for drop in (0.001, 0.1, 0.5, 0.9, 0.999)]
    np.testing.assert_allclose(kept, [255, 230, 127, 25, 0], atol=1)


def test_drops_only_ever_remove_and_the_same_seed_gives_the_same():
    rng = np.random.default_rng(0)
    pack = _pack(rng, 30, 20, 30)
    one, two = (batch(pack, np.arange(30), Augmentation(drop=0.3), np.random.default_rng(5)).to_dense() for _ in "ab")
    np.testing.assert_array_equal(one, two)
    assert np.all(one <= pack.dense())
    assert one.sum() / pack.dense().sum() == pytest.approx(0.7, abs=0.02)


def test_wrong_requests_are_named():
    pack = _pack(np.random.default_rng(0), 2, 3, 4)
    with pytest.raises(DataError, match="random generator"):
        batch(pack, [0], Augmentation(drop=0.1))
    with pytest.raises(DataError, match=r"samples 2 \.\. 2"):
        batch(pack, [2])
    with pytest.raises(DataError, match="drop must be"):
        Augmentation(drop=1.0)
    assert batch(pack, []).batch == 0
