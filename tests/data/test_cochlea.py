import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from tilewire.data.cochlea import (
    STEP_S,
    Cochlea,
    _bushy,
    _permeability,
    _release,
    centre_frequencies,
    encode,
    erb_hz,
    speech_level,
)
from tilewire.errors import DataError


def _tone(frequency, rate=16000, seconds=0.2):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def test_centre_frequencies_are_one_erb_apart_and_keep_the_ends():
    frequencies = centre_frequencies(50, 40.0, 7600.0)
    np.testing.assert_allclose(frequencies[[0, -1]], [40, 7600])
    spacing = np.diff(frequencies) / erb_hz((frequencies[1:] + frequencies[:-1]) / 2)
    np.testing.assert_allclose(spacing, spacing.mean(), rtol=2e-3)
    assert 40 < centre_frequencies(1, 40.0, 7600.0)[0] < 7600


def test_filters_equal_four_complex_poles_in_a_row():
    rate, rng = 8000, np.random.default_rng(0)
    wave = rng.standard_normal(400) * 50
    poles = np.exp(2 * np.pi / rate * (-1.019 * np.array([60.0, 150.0]) + 1j * np.array([400.0, 1500.0])))
    edges = np.arange(0, 401, 4)
    found = _permeability(wave, poles, edges, 5.0, 300.0, 2000.0)
    for row, pole in zip(found, poles, strict=True):
        output = wave.astype(complex)
        for _ in range(4):
            output = lfilter([1 - abs(pole)], [1, -pole], output)
        drive = np.maximum(2 * output.real + 5, 0)
        expected = (2000 * drive / (drive + 300)).reshape(-1, 4).mean(axis=1)
        np.testing.assert_allclose(row, expected, rtol=1e-9)


def test_the_reservoirs_follow_their_equations():
    y, loss, r, x, h = 5.05, 2500.0, 6580.0, 66.31, 50000.0
    k = np.concatenate([np.full(100, 33.0), np.full(400, 900.0), np.full(400, 10.0)])
    found = _release(k[None], 33.0, y, loss, r, x, h, STEP_S)[0]
    q = y / (y + 33.0 * (1 - r / (loss + r)))
    w, fine, expected = r / (loss + r) * 33.0 * q / x, 200, []
    for value in k:  # forward Euler of the same equations at 1/200 of the step
        for _ in range(fine):
            c = value * q / (loss + r)
            q, w = q + STEP_S / fine * (y * (1 - q) + x * w - value * q), w + STEP_S / fine * (r * c - x * w)
        expected.append(h * STEP_S * value * q / (loss + r))
    assert found[0] == pytest.approx(found[99], rel=1e-9)  # starts at rest
    assert found[100] > 3 * found[99]  # onset
    assert found[499] < found[100] / 2  # adaptation
    np.testing.assert_allclose(found, expected, rtol=0.3, atol=2e-4)  # half a millisecond is coarse only at an onset
    np.testing.assert_allclose(found[[99, 499, 899]], np.array(expected)[[99, 499, 899]], rtol=0.03)
    finer = _release(np.repeat(k, 50)[None], 33.0, y, loss, r, x, h, STEP_S / 50)[0, 49::50] * 50
    np.testing.assert_allclose(finer, expected, rtol=0.01)


def _slow_bushy(probability, uniform, bins, fibres, refractory, decay, decay_current, gain, jump, counts):
    for channel, row in enumerate(probability):
        fired_at, v, current, last = [], 0.0, 0.0, -(10**9)
        for tick, p in enumerate(row):
            free = fibres - sum(fired_at[max(0, tick - refractory + 1) : tick])
            fired = int(np.searchsorted(binom.cdf(np.arange(free + 1), free, p), uniform[channel, tick]))
            fired_at.append(min(fired, free))
            current += jump * fired_at[-1]
            v = v * decay + gain * current
            current *= decay_current
            if tick - last <= refractory:
                v = 0.0
            elif v >= 1.0:
                counts[channel, bins[tick]] += 1
                last, v = tick, 0.0


@pytest.mark.parametrize("refractory", [1, 2, 3])
def test_fibres_and_bushy_cells_equal_a_slow_reference(refractory):
    rng = np.random.default_rng(refractory)
    probability = rng.uniform(0, 0.25, (3, 300))
    uniform = rng.random((3, 300), dtype=np.float32)
    bins = np.arange(300) // 30
    fast, slow = np.zeros((2, 3, 10), np.uint8)
    constants = (40, refractory, 0.6, 0.37, 0.24, 0.4)
    _bushy(probability, uniform, bins, *constants, fast)
    _slow_bushy(probability, uniform, bins, *constants, slow)
    np.testing.assert_array_equal(fast, slow)
    assert fast.sum() > 20


@pytest.mark.parametrize(("rate", "channels"), [(8000, 32), (16000, 64), (44100, 17)])
def test_a_tone_excites_the_channels_of_its_frequency(rate, channels):
    counts = encode(_tone(1000, rate), rate, channels=channels, steps=20, step_s=0.01, rng=np.random.default_rng(0))
    assert counts.shape == (20, channels)
    loudest = centre_frequencies(channels, 40.0, min(7600.0, rate / 2))[counts.sum(axis=0).argmax()]
    assert 700 < loudest < 1400


def test_silence_has_spontaneous_spikes_only():
    counts = encode(np.zeros(8000), 8000, channels=60, steps=100, step_s=0.01, rng=np.random.default_rng(0))
    assert 0.5 < counts.sum() / 60 < 4  # spikes per second and channel


def test_the_scale_of_the_wave_does_not_matter_and_the_seed_decides():
    def spikes(wave, seed):
        return encode(wave, 16000, channels=20, steps=10, step_s=0.02, rng=np.random.default_rng(seed))

    np.testing.assert_array_equal(spikes(_tone(500), 1), spikes(_tone(500) * 1000, 1))
    assert not np.array_equal(spikes(_tone(500), 1), spikes(_tone(500), 2))


def test_steps_need_not_divide_evenly_and_long_waves_are_cut():
    for step_s in (0.0005, 0.0013, 0.0333, 0.1):
        counts = encode(
            _tone(800, seconds=1.0), 16000, channels=9, steps=7, step_s=step_s, rng=np.random.default_rng(0)
        )
        assert counts.shape == (7, 9)
    assert counts.max() <= 100


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"steps": 0}, {"step_s": 0.0001}, {"step_s": 0.2}, {"rate_hz": 80}])
def test_impossible_requests_are_refused(wrong):
    request = {"rate_hz": 8000, "channels": 4, "steps": 5, "step_s": 0.01} | wrong
    with pytest.raises(DataError, match="cannot encode"):
        encode(np.zeros(100), rng=np.random.default_rng(0), **request)
    with pytest.raises(DataError, match="finite"):
        encode(np.array([np.nan]), 8000, channels=2, steps=3, step_s=0.01, rng=np.random.default_rng(0))


def test_the_level_ignores_pauses():
    wave = np.concatenate([np.zeros(8000), _tone(500), np.zeros(16000)])
    assert speech_level(wave, 16000) == pytest.approx(np.sqrt(0.5), rel=0.02)
    assert speech_level(np.zeros(100), 8000) == 0.0
    assert speech_level(np.zeros(0), 8000) == 0.0


def test_louder_speech_gives_more_spikes():
    totals = [
        encode(
            _tone(700),
            16000,
            channels=30,
            steps=20,
            step_s=0.01,
            rng=np.random.default_rng(0),
            cochlea=Cochlea(level_db=level),
        ).sum()
        for level in (40, 60, 80)
    ]
    assert totals[0] < totals[1] < totals[2]


def test_impossible_constants_are_refused():
    for wrong in ({"fibres": 0}, {"tau_synapse_s": 1e-3}, {"low_hz": 8000.0}):
        with pytest.raises(DataError, match="constants must be positive"):
            Cochlea(**wrong)
