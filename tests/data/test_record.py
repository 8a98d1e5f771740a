import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.data.record import EventPack, concatenate, spike_data, utterance_scores
from tilewire.errors import DataError

fast = settings(deadline=None, max_examples=40)


@st.composite
def dense_packs(draw):
    n, steps, channels = draw(st.integers(0, 5)), draw(st.integers(1, 7)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    counts = rng.integers(0, 5, (n, steps, channels)) * (rng.random((n, steps, channels)) < 0.4)
    labels = rng.integers(0, 3, n)
    return counts.astype(np.uint8), EventPack.from_dense(counts.astype(np.uint8), labels, labels + 7, 0.01)


@fast
@given(dense_packs())
def test_dense_and_pack_are_the_same_thing(case):
    counts, pack = case
    np.testing.assert_array_equal(pack.dense(), counts)
    np.testing.assert_array_equal(pack.channel_counts(), counts.sum(axis=1))
    cell = (pack.owner * pack.steps + pack.step) * pack.channels + pack.channel
    assert np.all(np.diff(cell) > 0)


@fast
@given(dense_packs(), st.data())
def test_take_reorders_and_repeats(case, data):
    counts, pack = case
    indices = data.draw(st.lists(st.integers(0, len(pack) - 1), max_size=8)) if len(pack) else []
    taken = pack.take(indices)
    np.testing.assert_array_equal(taken.dense(), counts[np.array(indices, dtype=int)])
    np.testing.assert_array_equal(taken.label, pack.label[np.array(indices, dtype=int)])
    np.testing.assert_array_equal(pack.dense(indices), taken.dense())


@fast
@given(dense_packs(), st.integers(1, 9))
def test_rebin_sums_adjacent_steps(case, factor):
    counts, pack = case
    padded = np.pad(counts, ((0, 0), (0, -counts.shape[1] % factor), (0, 0)))
    expected = padded.reshape(len(counts), padded.shape[1] // factor, factor, counts.shape[2]).sum(axis=2)
    rebinned = pack.rebin(factor)
    np.testing.assert_array_equal(rebinned.dense(), expected)
    assert rebinned.step_s == pytest.approx(0.01 * factor)


@fast
@given(dense_packs(), st.integers(1, 5))
def test_folding_makes_every_phase_a_sample(case, stride):
    counts, pack = case
    folded, utterance = pack.fold_channels(stride)
    assert folded.channels == -(-pack.channels // stride)
    np.testing.assert_array_equal(utterance, np.repeat(np.arange(len(pack)), stride))
    padded = np.pad(counts, ((0, 0), (0, 0), (0, -counts.shape[2] % stride)))
    for sample in range(len(pack)):
        for phase in range(stride):
            np.testing.assert_array_equal(folded.dense([sample * stride + phase])[0], padded[sample, :, phase::stride])
    np.testing.assert_array_equal(folded.label, np.repeat(pack.label, stride))


def test_scores_are_summed_per_utterance():
    scores = np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(utterance_scores(scores, np.array([0, 0, 1, 1])), [[1, 3], [3, 2]])


def test_from_events_sums_equal_cells_in_any_order_across_sort_chunks(monkeypatch):
    monkeypatch.setattr("tilewire.data.record._SORT_CHUNK", 3)
    rng = np.random.default_rng(0)
    sample = np.sort(rng.integers(0, 6, 200))
    step, channel = rng.integers(0, 4, 200), rng.integers(0, 5, 200)
    expected = np.zeros((7, 4, 5), int)
    np.add.at(expected, (sample, step, channel), 2)
    pack = EventPack.from_events(sample, step, channel, np.full(200, 2), steps=4, channels=5, label=np.zeros(7, int))
    np.testing.assert_array_equal(pack.dense(), expected)


def test_more_than_255_spikes_in_a_cell_are_refused_not_wrapped():
    pack = EventPack.from_dense(np.full((1, 2, 1), 200, np.uint8), [0])
    with pytest.raises(DataError, match="400 spikes"):
        pack.rebin(2)


@pytest.mark.parametrize(("step", "channel"), [(4, 0), (0, 5), (-1, 0), (0, -1)])
def test_events_out_of_range_are_refused(step, channel):
    with pytest.raises(DataError, match="outside"):
        EventPack.from_events(
            np.array([0]), np.array([step]), np.array([channel]), np.array([1]), steps=4, channels=5, label=[0]
        )


@pytest.mark.parametrize("counts", [np.full((1, 2, 3), -1), np.full((1, 2, 3), 256), np.full((1, 2, 3), 0.5)])
def test_counts_that_no_pack_can_hold_are_refused(counts):
    with pytest.raises(DataError, match="count"):
        EventPack.from_dense(counts, [0])


def test_inconsistent_arrays_are_refused_with_every_reason():
    good = EventPack.from_dense(np.ones((2, 3, 4), np.uint8), [0, 1])
    with pytest.raises(DataError, match=r"ptr must be .*lengths differ.*3 speakers"):
        EventPack(
            good.ptr[:-1],
            good.step[:-1],
            good.channel,
            good.count,
            3,
            4,
            good.label,
            speaker=np.zeros(3, np.int32),
        )
    with pytest.raises(DataError, match="int64 with 1 axes"):
        EventPack(good.ptr, good.step.astype(np.int64), good.channel, good.count, 3, 4, good.label)


def test_joining_needs_equal_shapes():
    one = EventPack.from_dense(np.ones((1, 3, 4), np.uint8), [0])
    other = EventPack.from_dense(np.ones((1, 3, 5), np.uint8), [0])
    assert concatenate([one, one]).dense().shape == (2, 3, 4)
    with pytest.raises(DataError, match="joined"):
        concatenate([one, other])


def _data(counts, classes=("a", "b"), name="x", kind="synthetic"):
    packs = {split: EventPack.from_dense(counts + i, [0, 1]) for i, split in enumerate(("train", "validation", "test"))}
    return spike_data(name, kind, classes, packs)


def test_digest_is_of_the_content_alone():
    counts = np.ones((2, 3, 4), np.uint8)
    digest = _data(counts).digest
    assert _data(counts, name="y", kind="recorded").digest == digest
    assert _data(counts + 1).digest != digest
    assert _data(counts, classes=("a", "c")).digest != digest
    assert _data(np.ones((2, 4, 3), np.uint8)).digest != digest


def test_data_sets_with_several_faults_name_all_of_them():
    pack = EventPack.from_dense(np.ones((1, 3, 4), np.uint8), [2])
    other = EventPack.from_dense(np.ones((1, 3, 5), np.uint8), [0])
    with pytest.raises(DataError) as caught:
        spike_data("x", "invented", ("a", "a"), {"train": pack, "test": other, "extra": pack})  # type: ignore[arg-type]
    for text in ("no split 'validation'", "unknown split 'extra'", "different", "labels 2", "kind 'invented'"):
        assert text in str(caught.value)


def test_rebinned_data_sets_say_so():
    data = _data(np.ones((2, 3, 4), np.uint8)).rebin(2)
    assert (data.steps, data.channels, data.name) == (2, 4, "x/rebin-2")
