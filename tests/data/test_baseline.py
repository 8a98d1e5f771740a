import numpy as np
import pytest

from tilewire.data.baseline import fit_logistic, linear_on_counts
from tilewire.data.record import EventPack, spike_data
from tilewire.errors import DataError


def _separable(per_split, silent=False):
    rng = np.random.default_rng(0)
    packs = {}
    for split in ("train", "validation", "test"):
        label = rng.integers(0, 3, per_split)
        rate = np.full((per_split, 4), 0.2)
        rate[np.arange(per_split), label] = 1.5
        counts = rng.poisson(rate[:, None], (per_split, 5, 4)).astype(np.uint8)
        counts[:, :, 3] = 0
        packs[split] = EventPack.from_dense(counts * (0 if silent else 1), label)
    return spike_data("x", "synthetic", ("a", "b", "c"), packs)


def test_counts_that_tell_the_class_are_read():
    result = linear_on_counts(_separable(200))
    assert result.accuracy["test"] > 0.9
    assert result.parameters == 5 * 3


def test_folded_samples_are_scored_per_utterance():
    data = _separable(150)
    folded, utterance = {}, {}
    for split, pack in data.splits.items():
        folded[split], utterance[split] = pack.fold_channels(2)
    twice = spike_data("x", "synthetic", data.classes, folded)
    apart, together = linear_on_counts(twice), linear_on_counts(twice, utterance=utterance)
    assert together.accuracy["test"] > apart.accuracy["test"] + 0.05


def test_silent_data_stay_near_chance():
    assert linear_on_counts(_separable(60, silent=True)).accuracy["test"] < 0.6


def test_the_fit_is_a_stationary_point_of_the_stated_objective():
    rng = np.random.default_rng(1)
    features = np.column_stack([rng.standard_normal((50, 3)), np.ones(50)])
    label = rng.integers(0, 4, 50).astype(np.int32)
    weights = fit_logistic(features, label, np.zeros((4, 4)), 0.1)

    def loss(w):
        score = features @ w
        chosen = score[np.arange(50), label]
        return np.mean(np.log(np.exp(score).sum(axis=1)) - chosen) + 0.05 * np.sum(w[:-1] ** 2)

    for i, j in np.ndindex(4, 4):
        step = np.zeros((4, 4))
        step[i, j] = 1e-5
        assert abs(loss(weights + step) - loss(weights - step)) / 2e-5 < 1e-3


def test_empty_splits_are_refused():
    data = _separable(20)
    empty = spike_data("x", "synthetic", data.classes, dict(data.splits) | {"test": data.splits["test"].take([])})
    with pytest.raises(DataError, match="empty split"):
        linear_on_counts(empty)
