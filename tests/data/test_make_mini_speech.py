"""The generator of the bundled set, as far as it goes without a speech program."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_mini_speech.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="scripts are part of a source checkout only")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_mini_speech", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_plan_balances_words_and_voices_and_depends_on_its_seed_only(script):
    voices = ("a", "b", "c")
    plan = script.plan(600, voices, (1, 0))
    assert plan == script.plan(600, voices, (1, 0)) != script.plan(600, voices, (1, 1))
    np.testing.assert_array_equal(np.bincount([u.word for u in plan]), 30)
    assert [sum(u.voice == voice for u in plan) for voice in voices] == [200] * 3
    assert all((u.accent == "de") == (u.word >= 10) for u in plan)
    assert {u.accent for u in plan} == {*script.ACCENTS, "de"}
    for low, high, values in (
        (110, 230, [u.rate for u in plan]),
        (15, 85, [u.pitch for u in plan]),
        (10, 90, [u.range for u in plan]),
        (15.0, 30.0, [u.snr_db for u in plan]),
        (0.0, 0.08, [u.onset_s for u in plan]),
    ):
        assert low <= min(values) < max(values) <= high


def test_noise_is_red_and_of_unit_power(script):
    noise = script.red_noise(16000, 16000, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert np.mean(noise**2) == pytest.approx(1.0)
    assert power[100:200].mean() / power[1000:2000].mean() == pytest.approx(100, rel=0.4)


def _fake(prints):
    return lambda voice: np.array(prints[voice], dtype=float)


def test_voices_that_sound_alike_share_a_split_and_base_voices_are_dropped(script, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    prints = {"": np.zeros(4), "fallback": np.full(4, 0.01)}
    for i in range(20):
        prints[f"v{i}"] = 30 * rng.standard_normal(4)
    prints["twin"] = prints["v3"] + 0.1
    for name in prints:
        if name:
            (tmp_path / name).write_text("")
    monkeypatch.setattr(script, "fingerprint", _fake(prints))
    monkeypatch.setattr(script, "HELD_OUT", 5)
    voices, least = script.partition(tmp_path)
    everyone = [voice for split in script.SPLITS for voice in voices[split]]
    assert sorted(everyone) == sorted(set(prints) - {"", "fallback"})
    assert [len(voices[split]) for split in ("validation", "test")] == [5, 5]
    assert any({"v3", "twin"} <= set(group) for group in voices.values())
    assert least >= script.LIKE_DB


def test_a_recording_holds_word_and_noise(script, monkeypatch):
    monkeypatch.setattr(script, "speak", lambda *_: (8000, np.sin(np.arange(4000) * 0.5)))
    utterance = script.plan(20, ("a",), (1, 0))[0]
    counts, end = script.record(utterance)
    assert counts.shape == (script.STEPS, script.CHANNELS)
    assert end == pytest.approx(0.5 + utterance.onset_s, abs=1e-3)
    assert counts[10:50].sum() > 3 * counts[60:].sum()
