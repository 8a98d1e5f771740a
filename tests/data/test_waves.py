import numpy as np
import pytest
from scipy.io import wavfile

from tilewire.data import load
from tilewire.data.waves import encode_folder, find_clips, read_wave
from tilewire.errors import DataError, TilewireError

RATE = 8000
WAVE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(1600) / RATE)


def _write24(path, wave):
    """PCM of 24 bits, which scipy reads but does not write."""
    values = np.round(wave * (2**23 - 1)).astype("<i4")
    body = np.frombuffer(values.tobytes(), np.uint8).reshape(-1, 4)[:, :3].tobytes()
    header = b"RIFF" + (36 + len(body)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += b"".join(
        value.to_bytes(size, "little") for value, size in ((1, 2), (1, 2), (RATE, 4), (RATE * 3, 4), (3, 2), (24, 2))
    )
    path.write_bytes(header + b"data" + len(body).to_bytes(4, "little") + body)


FORMS = {
    "u8": lambda path: wavfile.write(path, RATE, np.round(WAVE * 127 + 128).astype(np.uint8)),
    "i16": lambda path: wavfile.write(path, RATE, np.round(WAVE * 32767).astype(np.int16)),
    "i24": lambda path: _write24(path, WAVE),
    "i32": lambda path: wavfile.write(path, RATE, np.round(WAVE * (2**31 - 1)).astype(np.int32)),
    "f32": lambda path: wavfile.write(path, RATE, WAVE.astype(np.float32)),
    "f64": lambda path: wavfile.write(path, RATE, WAVE),
    "stereo": lambda path: wavfile.write(path, RATE, np.stack([WAVE * 2, WAVE * 0], axis=1).astype(np.float32)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_sample_format_gives_the_same_wave(tmp_path, form):
    FORMS[form](tmp_path / "a.wav")
    rate, wave = read_wave(tmp_path / "a.wav")
    assert rate == RATE
    np.testing.assert_allclose(wave, WAVE, atol=0.01 if form == "u8" else 1e-4)


def _folder(root, words=("ja", "nein"), speakers=("ann", "bob", "cy", "di"), takes=2):
    for index, word in enumerate(words):
        (root / word).mkdir(parents=True, exist_ok=True)
        for speaker in speakers:
            for take in range(takes):
                wave = np.sin(2 * np.pi * 300 * (1 + index) * np.arange(1600) / RATE)
                wavfile.write(root / word / f"{speaker}_{take}.WAV", RATE, wave.astype(np.float32))
    return root


def _encode(folder, seed=0, **options):
    return encode_folder(folder, 12, 10, 0.02, np.random.default_rng(seed), **options)


def test_labels_are_folder_names_and_every_label_is_in_every_split(tmp_path):
    data = _encode(_folder(tmp_path / "talk"))
    assert (data.name, data.kind, data.classes) == ("talk", "recorded", ("ja", "nein"))
    assert (data.steps, data.channels) == (10, 12)
    assert sum(len(pack) for pack in data.splits.values()) == 16
    for pack in data.splits.values():
        assert set(pack.label.tolist()) == {0, 1}
        assert pack.speaker is None


def test_known_speakers_stay_whole(tmp_path):
    data = _encode(_folder(tmp_path), speaker_pattern=r"^([a-z]+)_")
    speakers = [set(pack.speaker.tolist()) for pack in data.splits.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) == 4


def test_given_splits_are_kept(tmp_path):
    for split, speaker in (("train", "ann"), ("validation", "bob"), ("test", "cy")):
        _folder(tmp_path / split, speakers=(speaker,), takes=3)
    assert [len(pack) for pack in _encode(tmp_path).splits.values()] == [6, 6, 6]


def test_one_seed_one_digest(tmp_path):
    _folder(tmp_path)
    assert _encode(tmp_path).digest == _encode(tmp_path).digest != _encode(tmp_path, seed=1).digest
    loaded = load(tmp_path, channels=12, steps=10, step_s=0.02)
    assert loaded.digest == _encode(tmp_path).digest


def test_all_unreadable_files_are_named(tmp_path):
    _folder(tmp_path)
    (tmp_path / "ja" / "ann_0.WAV").write_bytes(b"RIFF")
    wavfile.write(tmp_path / "nein" / "bob_1.WAV", RATE, np.array([np.nan, 0.0], np.float32))
    with pytest.raises(DataError) as caught:
        _encode(tmp_path)
    for text in ("2 files", "ann_0.WAV", "bob_1.WAV", "not finite"):
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"speaker_pattern": "("}, "not a regular expression"),
        ({"speaker_pattern": "ann"}, r"no group"),
        ({"speaker_pattern": "^(zoe)"}, "no speaker in 16 file names"),
        ({"held_out": (0.5, 0.5)}, "sum to less than 1"),
    ],
)
def test_wrong_requests_are_named(tmp_path, options, text):
    _folder(tmp_path)
    with pytest.raises(DataError, match=text):
        _encode(tmp_path, **options)


def test_folders_without_enough_files_are_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find_clips(tmp_path / "none")
    with pytest.raises(DataError, match="no LABEL"):
        _encode(tmp_path)
    _folder(tmp_path, speakers=("ann",))
    with pytest.raises(DataError, match="only 2 files of 'ja'"):
        _encode(tmp_path)
    with pytest.raises(DataError, match="only 1 speakers"):
        _encode(tmp_path, speaker_pattern="^([a-z]+)")


def test_damaged_files_raise_nothing_but_our_errors(tmp_path):
    path = tmp_path / "a.wav"
    FORMS["stereo"](path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(300):
        content = bytearray(whole)
        if trial % 3 == 0:
            del content[rng.integers(len(content)) :]
        else:
            content[rng.integers(64)] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            _, wave = read_wave(path)
            assert wave.ndim == 1
        except TilewireError:
            pass
