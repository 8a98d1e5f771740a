import gzip
import hashlib
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest

from tilewire.data import catalogue, load, spiking_audio
from tilewire.data.spiking_audio import SHD, SSC, AudioFile, AudioSet, hold_out_speakers, load_spiking_audio, read_h5
from tilewire.errors import DataError, TilewireError

KEYS = ("zero", "one", "zwei")


def write_h5(path, samples, seed=0, speakers=(0, 1, 2, 3), channels=700, **changed):
    """A file in the published layout: half-precision times, 16-bit units, both of variable length."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 40, samples)
    times = [np.sort(rng.uniform(0, 1.5, size)).astype(np.float16) for size in sizes]
    units = [rng.integers(0, channels, size).astype(np.uint16) for size in sizes]
    if samples:
        times[-1], units[-1] = (
            np.array([0.0, 1.3999, 1.4, 2.0], np.float16),
            np.array([0, 1, 2, channels - 1], np.uint16),
        )
    columns = {
        "spikes/times": (times, h5py.vlen_dtype(np.float16)),
        "spikes/units": (units, h5py.vlen_dtype(np.uint16)),
        "labels": (rng.integers(0, 3, samples), np.uint16),
        "extra/speaker": (np.array(speakers)[np.arange(samples) % len(speakers)], np.uint16),
        "extra/keys": (np.array(KEYS, dtype="S4"), "S4"),
    } | changed
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            if column is not None:
                values, dtype = column
                dataset = file.create_dataset(name, (len(values),), dtype=dtype)
                for i, value in enumerate(values):
                    dataset[i] = value
    return times, units


def small(tmp_path, validation=False, name="toy"):
    """A published set of small files, each pinned by the md5 of its zip archive."""
    files = {}
    for split, samples in (("train", 12), ("validation", 5), ("test", 6)):
        if split == "validation" and not validation:
            continue
        plain = tmp_path / f"{name}_{split}.h5"
        write_h5(plain, samples, seed=samples)
        archive = tmp_path / f"{name}_{split}.h5.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.write(plain, plain.name)
        plain.unlink()
        md5 = hashlib.md5(archive.read_bytes()).hexdigest()
        template = SHD.files["train"].remote
        files[split] = AudioFile(replace(template, name=archive.name, md5=md5), samples)
    return AudioSet(name, 700, files)


@pytest.mark.parametrize(("steps", "window_s"), [(100, 1.4), (7, 1.4), (33, 0.9)])
def test_binning_equals_the_obvious_loop(tmp_path, steps, window_s):
    times, units = write_h5(tmp_path / "a.h5", 25)
    pack, classes = read_h5(tmp_path / "a.h5", 700, steps, window_s, 25)
    expected = np.zeros((25, steps, 700), np.uint8)
    for sample, (row, channels) in enumerate(zip(times, units, strict=True)):
        for time, channel in zip(row, channels, strict=True):
            step = int(np.floor(np.float32(time) * np.float32(steps / window_s)))
            if step < steps:  # at or after the end of the window: left out
                expected[sample, step, channel] += 1
    np.testing.assert_array_equal(pack.dense(), expected)
    assert classes == KEYS
    assert pack.step_s == pytest.approx(window_s / steps)


def test_reading_in_parts_changes_nothing(tmp_path, monkeypatch):
    write_h5(tmp_path / "a.h5", 25)
    whole, _ = read_h5(tmp_path / "a.h5", 700, 50, 1.4)
    monkeypatch.setattr(spiking_audio, "_READ_CHUNK", 4)
    parts, _ = read_h5(tmp_path / "a.h5", 700, 50, 1.4)
    np.testing.assert_array_equal(parts.dense(), whole.dense())
    np.testing.assert_array_equal(parts.label, whole.label)
    np.testing.assert_array_equal(parts.speaker, whole.speaker)


def test_archives_that_unpack_too_large_are_refused(tmp_path, monkeypatch):
    audio = small(tmp_path)
    monkeypatch.setattr(spiking_audio, "_MOST_BYTES", 1000)
    with pytest.raises(DataError, match="unpacks to more than 1000 bytes"):
        load_spiking_audio(audio, tmp_path, download="never", seed=0)


def test_the_published_sizes_are_pinned():
    assert {split: file.samples for split, file in SHD.files.items()} == {"train": 8156, "test": 2264}
    assert {split: file.samples for split, file in SSC.files.items()} == {
        "train": 75466,
        "validation": 9981,
        "test": 20382,
    }
    assert SHD.files["train"].remote.urls[0].endswith("shd_train.h5.zip")


def test_another_number_of_samples_is_refused(tmp_path):
    write_h5(tmp_path / "a.h5", 25)
    with pytest.raises(DataError, match="25 samples, the published file holds 8156"):
        read_h5(tmp_path / "a.h5", 700, 10, 1.4, 8156)


def test_held_out_speakers_are_whole_and_come_from_training_only(tmp_path):
    audio = small(tmp_path)
    data = load_spiking_audio(audio, tmp_path, download="never", seed=1, steps=10)
    train, validation = data.splits["train"], data.splits["validation"]
    assert not set(train.speaker.tolist()) & set(validation.speaker.tolist())
    assert (len(train) + len(validation), len(data.splits["test"])) == (12, 6)
    others = [load_spiking_audio(audio, tmp_path, download="never", seed=s, steps=10) for s in range(6)]
    assert len({tuple(np.unique(other.splits["validation"].speaker)) for other in others}) > 1


def test_a_set_with_a_validation_file_uses_it(tmp_path):
    data = load_spiking_audio(small(tmp_path, validation=True), tmp_path, download="never", seed=0, steps=10)
    assert [len(pack) for pack in data.splits.values()] == [12, 5, 6]
    assert data.kind == "real"


def test_the_second_load_comes_from_the_cache_and_is_the_same(tmp_path, monkeypatch):
    audio = small(tmp_path)
    first = load_spiking_audio(audio, tmp_path, download="never", seed=0, steps=20)
    monkeypatch.setattr(spiking_audio, "read_h5", None)
    again = load_spiking_audio(audio, tmp_path, download="never", seed=0, steps=20)
    assert (again.digest, again.name) == (first.digest, "toy")
    monkeypatch.undo()
    other = load_spiking_audio(audio, tmp_path, download="never", seed=0, steps=21)
    assert other.digest != first.digest


@pytest.mark.parametrize("form", ["plain", "gz"])
def test_plain_and_gz_files_give_the_same_data(tmp_path, form):
    audio = small(tmp_path)
    digest = load_spiking_audio(audio, tmp_path, download="never", seed=0, steps=20).digest
    for archive in tmp_path.glob("*.zip"):
        content = zipfile.ZipFile(archive).read(archive.stem)
        target = tmp_path / (archive.stem if form == "plain" else f"{archive.stem}.gz")
        target.write_bytes(content if form == "plain" else gzip.compress(content))
        archive.unlink()
    assert load_spiking_audio(audio, tmp_path, download="never", seed=0, steps=20).digest == digest


def test_absent_files_name_everything_needed_to_get_them(tmp_path):
    with pytest.raises(DataError) as caught:
        load("shd", root=tmp_path)
    text = str(caught.value)
    for part in (
        "shd_train.h5.zip",
        "f3252aeb598ac776c1b526422d90eecb",
        "MB",
        str(tmp_path),
        "mini-speech",
        "https://",
    ):
        assert part in text
    assert not list(tmp_path.iterdir())


def test_an_archive_with_the_wrong_checksum_is_refused(tmp_path):
    audio = small(tmp_path)
    path = tmp_path / "toy_test.h5.zip"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"toy_test\.h5\.zip: wrong checksum"):
        load_spiking_audio(audio, tmp_path, download="never", seed=0)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"spikes/times": None}, "spikes/times"),
        ({"labels": ([0, 1], np.uint16)}, "9 times, 9 units, 2 labels"),
        ({"extra/speaker": ([0, 1], np.uint16)}, "2 speakers"),
        ({"labels": (np.full(9, 2.0), np.float32)}, "not whole numbers"),
        ({"spikes/units": (np.arange(9), np.uint16)}, "not lists of numbers"),
    ],
)
def test_files_in_another_layout_are_named(tmp_path, changed, text):
    write_h5(tmp_path / "a.h5", 9, **changed)
    with pytest.raises(DataError, match=text):
        read_h5(tmp_path / "a.h5", 700, 10, 1.4)


def test_values_out_of_range_are_named(tmp_path):
    write_h5(tmp_path / "a.h5", 9)
    with pytest.raises(DataError, match=r"units 0 \.\. 699 outside 0 \.\. 99"):
        read_h5(tmp_path / "a.h5", 100, 10, 1.4)
    for bad in (np.nan, -0.1, np.inf):
        rows = [np.array([bad], np.float16)] * 2
        units = [np.array([1], np.uint16)] * 2
        write_h5(
            tmp_path / "b.h5",
            2,
            **{
                "spikes/times": (rows, h5py.vlen_dtype(np.float16)),
                "spikes/units": (units, h5py.vlen_dtype(np.uint16)),
            },
        )
        with pytest.raises(DataError, match="finite numbers of seconds"):
            read_h5(tmp_path / "b.h5", 700, 10, 1.4)


def test_references_and_links_are_not_followed(tmp_path):
    write_h5(tmp_path / "other.h5", 4)
    write_h5(tmp_path / "a.h5", 4, labels=None)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["labels"] = h5py.ExternalLink("other.h5", "labels")
    with pytest.raises(DataError, match="link to elsewhere"):
        read_h5(tmp_path / "a.h5", 700, 10, 1.4)
    write_h5(tmp_path / "b.h5", 4, **{"spikes/units": None})
    with h5py.File(tmp_path / "b.h5", "a") as file:
        references = file.create_dataset("spikes/units", (4,), dtype=h5py.ref_dtype)
        references[0] = file["labels"].ref
    with pytest.raises(DataError, match="not lists of numbers"):
        read_h5(tmp_path / "b.h5", 700, 10, 1.4)


def test_damaged_files_raise_nothing_but_our_errors(tmp_path):
    path = tmp_path / "a.h5"
    write_h5(path, 6)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(120):
        content = bytearray(whole)
        if trial % 3 == 0:
            del content[rng.integers(len(content)) :]
        else:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            read_h5(path, 700, 10, 1.4)
        except TilewireError:
            refused += 1
    assert refused >= 40


def test_fewer_than_two_speakers_cannot_be_split(tmp_path):
    write_h5(tmp_path / "a.h5", 6, speakers=(3,))
    pack, _ = read_h5(tmp_path / "a.h5", 700, 10, 1.4)
    with pytest.raises(DataError, match="1 speakers known"):
        hold_out_speakers(pack, 0.2, np.random.default_rng(0))


def test_impossible_bins_are_refused(tmp_path):
    for wrong in ({"steps": 0}, {"window_s": 0.0}, {"held_out": 1.0}):
        with pytest.raises(DataError, match="cannot bin"):
            load("shd", root=tmp_path, **wrong)


def test_the_list_tells_what_is_present(tmp_path, monkeypatch):
    audio = small(tmp_path)
    source = catalogue._published(audio, "toy")
    monkeypatch.setitem(catalogue.SOURCES, "toy", source)
    assert source.present(tmp_path)
    assert not source.present(tmp_path / "elsewhere")
    assert load("toy", root=tmp_path, steps=5).steps == 5
