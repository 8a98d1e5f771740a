import io
import zipfile

import numpy as np
import pytest

from tilewire.data import storage
from tilewire.data.record import EventPack, spike_data
from tilewire.data.storage import read_npz, write_npz
from tilewire.errors import DataError, TilewireError


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    packs = {
        split: EventPack.from_dense(rng.poisson(0.3, (4, 6, 5)).astype(np.uint8), [0, 1, 2, 0], [5, 5, 9, 9], 0.01)
        for split in ("train", "validation", "test")
    }
    return spike_data("made", "synthetic", ("ja", "nein", "fünf"), packs)


def _arrays(path):
    with np.load(path) as file:
        return dict(file)


def test_a_written_file_reads_back_the_same(data, tmp_path):
    path = tmp_path / "sub" / "made.npz"
    write_npz(data, path)
    back = read_npz(path)
    assert (back.name, back.kind, back.classes, back.digest) == ("made", "synthetic", data.classes, data.digest)
    assert back.splits["test"].step_s == 0.01
    np.testing.assert_array_equal(back.splits["test"].speaker, [5, 5, 9, 9])
    assert [p.name for p in path.parent.iterdir()] == ["made.npz"]


def test_equal_data_give_equal_bytes(data, tmp_path):
    write_npz(data, tmp_path / "a.npz")
    write_npz(data, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_dense_files_made_with_numpy_alone_give_the_same_digest(data, tmp_path):
    path = tmp_path / "dense.npz"
    content = {"format": "tilewire-spikes-1", "classes": list(data.classes), "steps": 6, "channels": 5}
    for split, pack in data.splits.items():
        content |= {
            f"{split}_counts": pack.dense().astype(np.int64),
            f"{split}_label": pack.label,
            f"{split}_speaker": pack.speaker,
        }
    np.savez_compressed(path, **content)
    back = read_npz(path)
    assert back.digest == data.digest
    assert back.kind == "recorded"


def test_all_faults_are_listed(data, tmp_path):
    path = tmp_path / "bad.npz"
    write_npz(data, path)
    arrays = _arrays(path)
    arrays["train_step"] = arrays["train_step"].astype(np.int64) - 1
    arrays["validation_count"] = arrays["validation_count"].astype(float)
    del arrays["test_label"]
    np.savez(path, **arrays)
    with pytest.raises(DataError) as caught:
        read_npz(path)
    for text in ("'train_step' holds -1", "'validation_count' holds float64", "'test_label' is missing", "bad.npz"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": np.array("other")}, "format 'other'"),
        ({"extra": np.zeros(1)}, "unknown key 'extra'"),
        ({"steps": np.array([1, 2])}, "steps must be one number"),
        ({"steps": np.array(0)}, "must be 1 .. 65536"),
        ({"step_s": np.array(-1.0)}, "must be positive"),
        ({"train_label": np.array([0, 1, 2, 3])}, "labels 0 .. 3"),
        ({"train_label": np.array([0, 1, 2])}, "must rise"),
        ({"train_speaker": np.array([0, 1, 2])}, "differ in length"),
        ({"train_counts": np.zeros((4, 6, 4), int)}, "must be integer"),
        ({"train_counts": np.full((4, 6, 5), 256)}, "allowed 0 .. 255"),
        ({"kind": np.array("invented")}, "kind 'invented'"),
        ({"classes": np.array(["a", "a", "b"])}, "different ones"),
    ],
)
def test_each_wrong_key_is_named(data, tmp_path, change, text):
    path = tmp_path / "bad.npz"
    write_npz(data, path)
    np.savez(path, **(_arrays(path) | change))
    with pytest.raises(DataError, match=text):
        read_npz(path)


def test_unsorted_events_are_refused(data, tmp_path):
    path = tmp_path / "bad.npz"
    write_npz(data, path)
    arrays = _arrays(path)
    arrays["train_channel"] = arrays["train_channel"][::-1].copy()
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="ascending"):
        read_npz(path)


def test_pickles_are_refused_unread(data, tmp_path):
    path = tmp_path / "bad.npz"
    write_npz(data, path)
    np.savez(path, **(_arrays(path) | {"train_label": np.array([{"a": 1}], dtype=object)}), allow_pickle=True)
    with pytest.raises(DataError, match="object"):
        read_npz(path)


def test_a_header_that_promises_too_much_allocates_nothing(data, tmp_path):
    path = tmp_path / "bad.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (1 << 60,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_label.npy", header.getvalue())
    with pytest.raises(DataError, match="0 bytes for shape"):
        read_npz(path)


def test_archives_that_unpack_too_large_are_refused_before_unpacking(data, tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    write_npz(data, path)
    monkeypatch.setattr(storage, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="at most 64"):
        read_npz(path)


def test_text_that_is_not_text_is_refused(data, tmp_path):
    path = tmp_path / "bad.npz"
    write_npz(data, path)
    for code in (0xD800, 0x7FFFFFFF):
        classes = np.array([code, 1, 2], np.uint32).view("<U1")
        np.savez(path, **(_arrays(path) | {"classes": classes}))
        with pytest.raises(DataError, match="no characters"):
            read_npz(path)
        write_npz(data, path)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_npz(tmp_path / "none.npz")
    with pytest.raises(DataError, match="not a readable"):
        read_npz(tmp_path)


def test_damaged_files_raise_nothing_but_our_errors(data, tmp_path):
    path = tmp_path / "damaged.npz"
    write_npz(data, path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(400):
        content = bytearray(whole)
        if trial % 4 == 0:
            del content[rng.integers(len(content)) :]
        else:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            assert read_npz(path).digest == data.digest  # a flip in a time stamp or in padding harms nothing
        except TilewireError:
            refused += 1
    assert refused > 250


def test_nothing_is_left_behind_when_writing_fails(data, tmp_path, monkeypatch):
    def broken(*_args, **_options):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", broken)
    with pytest.raises(OSError, match="disk full"):
        write_npz(data, tmp_path / "x.npz")
    assert not list(tmp_path.iterdir())
