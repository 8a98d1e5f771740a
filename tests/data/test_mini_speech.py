import shutil
from dataclasses import replace

import numpy as np
import pytest

from tilewire.data import catalogue, load, mini_speech
from tilewire.data.baseline import linear_on_counts
from tilewire.data.mini_speech import ordered_pairs
from tilewire.data.record import EventPack, spike_data
from tilewire.data.storage import write_npz
from tilewire.errors import DataError


@pytest.fixture(scope="module")
def mini():
    return load("mini-speech")


def test_the_bundled_set_is_what_it_says(mini):
    assert (mini.name, mini.kind, mini.digest) == ("mini-speech", "synthetic", mini_speech.MINI.digest)
    assert (mini.steps, mini.channels, len(mini.classes)) == (100, 140, 20)
    assert mini.classes[7] == "seven"
    assert mini.classes[15] == "fünf"
    for split, size in (("train", 2000), ("validation", 500), ("test", 500)):
        pack = mini.splits[split]
        np.testing.assert_array_equal(np.bincount(pack.label), size // 20)
        assert pack.step_s == 0.01
        assert 5000 < pack.channel_counts().sum() / size * 5 < 9000  # spikes per sample scaled to 700 channels
        assert 0.9 < np.mean(pack.channel_counts() > 0) <= 1


def test_voices_of_the_splits_are_disjoint(mini):
    voices = [set(mini.splits[split].speaker.tolist()) for split in ("train", "validation", "test")]
    assert len(set.union(*voices)) == 100
    assert [len(group) for group in voices] == [70, 15, 15]


def test_spike_counts_alone_do_not_solve_it(mini):
    slim = mini.splits["train"].take(np.arange(800))
    data = spike_data("x", "synthetic", mini.classes, dict(mini.splits) | {"train": slim})
    result = linear_on_counts(data, penalties=(0.3,))
    assert 0.4 < result.accuracy["test"] < 0.7


def test_a_changed_file_is_not_accepted_under_the_name(mini, tmp_path, monkeypatch):
    other = spike_data("mini-speech", "synthetic", (*mini.classes[:-1], "nein"), mini.splits)
    write_npz(other, tmp_path / mini_speech.MINI.file)
    monkeypatch.setattr(mini_speech, "__file__", str(tmp_path / "mini_speech.py"))
    with pytest.raises(DataError, match=r"not the published one: sha256 .* instead of"):
        load("mini-speech")


def test_a_wheel_without_the_large_set_names_the_generator(tmp_path, monkeypatch):
    monkeypatch.setattr(mini_speech, "__file__", str(tmp_path / "a" / "b" / "c" / "mini_speech.py"))
    with pytest.raises(DataError, match=r"make_mini_speech\.py mini-speech-large"):
        load("mini-speech-large", root=tmp_path)
    assert not next(line for line in catalogue.describe_all(tmp_path) if line.name == "mini-speech-large").present


def test_the_large_set_is_found_in_the_data_root(mini, tmp_path, monkeypatch):
    write_npz(mini, tmp_path / mini_speech.LARGE.file)
    monkeypatch.setattr(mini_speech, "LARGE", replace(mini_speech.LARGE, digest=mini.digest))
    assert load("mini-speech-large", root=tmp_path).digest == mini.digest
    monkeypatch.setenv("TILEWIRE_DATA", str(tmp_path))
    assert load("mini-speech-large").name == "mini-speech-large"
    shutil.copy(tmp_path / mini_speech.LARGE.file, tmp_path / "own.npz")
    assert load(tmp_path / "own.npz").name == "own"


@pytest.mark.skipif(not (mini_speech.large_folders(None)[1] / mini_speech.LARGE.file).exists(), reason="checkout only")
def test_the_larger_set_of_the_checkout_has_other_samples_of_the_same_voices(mini):
    large = load("mini-speech-large")
    assert [len(pack) for pack in large.splits.values()] == [8000, 2000, 2000]
    for split, pack in large.splits.items():
        assert set(pack.speaker.tolist()) == set(mini.splits[split].speaker.tolist())
    assert not np.array_equal(large.splits["test"].dense(range(500)), mini.splits["test"].dense())


def _toy(seed=0):
    rng = np.random.default_rng(seed)
    packs = {}
    for i, split in enumerate(("train", "validation", "test")):
        counts = np.zeros((60, 8, 50), np.uint8)
        counts[np.arange(60), rng.integers(0, 8, 60), 15 * i + np.arange(60) % 15] = 1  # channel tells sample and split
        packs[split] = EventPack.from_dense(counts, np.arange(60) % 4, np.full(60, i), 0.01)
    return spike_data("toy", "synthetic", ("a", "b", "c", "d"), packs)


def test_a_pair_is_its_two_words_one_after_the_other():
    data = _toy()
    pairs = ordered_pairs(data, (0, 2, 3), window=6, rng=np.random.default_rng(0))
    assert pairs.classes == ("a c", "a d", "c a", "c d", "d a", "d c")
    assert pairs.steps == 12
    for split, pack in pairs.splits.items():
        np.testing.assert_array_equal(np.bincount(pack.label), 10)
        source = data.splits[split]
        dense, words = pack.dense(), source.dense()[:, :6]
        for sample, label in zip(dense, pack.label, strict=True):
            for half, name in zip((sample[:6], sample[6:]), pairs.classes[label].split(), strict=True):
                pool = words[source.label == data.classes.index(name)]
                assert any(np.array_equal(half, word) for word in pool)


def test_pairs_of_one_seed_are_the_same(mini):
    one, two, other = (
        ordered_pairs(_toy(), (0, 1), window=8, rng=np.random.default_rng(seed)).digest for seed in (1, 1, 2)
    )
    assert one == two != other


def test_named_pairs_balance_all_twenty_orders():
    pairs = load("mini-speech-pairs", seed=3)
    assert (pairs.name, pairs.steps, pairs.channels, len(pairs.classes)) == ("mini-speech-pairs", 160, 140, 20)
    assert pairs.classes[0] == "one two"
    for split, size in (("train", 2000), ("validation", 500), ("test", 500)):
        np.testing.assert_array_equal(np.bincount(pairs.splits[split].label), size // 20)


def test_counts_cannot_tell_the_order_of_a_pair():
    pairs = load("mini-speech-pairs", words=(3, 6), window=70)
    slim = {split: pack.take(np.arange(300)) for split, pack in pairs.splits.items()}
    result = linear_on_counts(spike_data("x", "synthetic", pairs.classes, slim), penalties=(1.0,))
    assert result.accuracy["test"] < 0.6  # two orders: chance is one half


@pytest.mark.parametrize(
    "wrong", [{"words": (1,)}, {"words": (1, 1)}, {"words": (1, 20)}, {"window": 0}, {"window": 101}, {"source": "shd"}]
)
def test_impossible_pairs_are_refused(wrong):
    with pytest.raises(DataError):
        load("mini-speech-pairs", **wrong)
