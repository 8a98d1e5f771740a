"""Memristive weights: levels, range and noise by their definitions, gradients straight through, sums exact."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.nn.memristor import Memristor, step


def weights(seed, rows=9, size=5, tiles=3):
    rng = np.random.default_rng(seed)
    w = (rng.normal(size=(rows, size)) * 10.0 ** rng.integers(-3, 1, size=(rows, 1))).astype(np.float32)
    w[rng.random(w.shape) < 0.2] = 0
    return torch.from_numpy(w), rng.integers(-1, tiles, rows).astype(np.int32)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.integers(2, 40), st.sampled_from([None, 0.5, 2.5]), st.sampled_from(["layer", "tile"]))
def test_programmed_weights_by_hand(seed, levels, clip, scale):
    w, tile = weights(seed)
    got = Memristor(levels, clip, scale=scale)(w, tile).numpy()
    group = np.maximum(tile, 0) if scale == "tile" else np.zeros_like(tile)
    for g in np.unique(group):
        own = w.numpy()[group == g].astype(np.float64)
        alive = own[own != 0]
        if not alive.size:
            continue
        c = np.abs(alive).max()
        c = c if clip is None else min(c, clip * np.sqrt(np.square(alive).mean()))
        code = got[group == g] / np.float64(step(torch.tensor(c / (levels - 1), dtype=torch.float32)))
        values = np.unique(np.rint(code))
        assert np.abs(values).max() <= levels - 1
        assert np.allclose(code, np.rint(code), atol=1e-3 * levels)
        delta = c / (levels - 1)
        assert np.abs(got[group == g] - np.clip(own, -c, c)).max() <= delta * (0.5 + 1e-3 * levels)
    assert not got[w.numpy() == 0].any()


@given(st.floats(2.0**-90, 2.0**90, width=32))
def test_step_has_twelve_bits_and_is_just_above(value):
    delta = step(torch.tensor(value)).item()
    assert value <= delta <= value * (1 + 2.0**-10)
    mantissa, _ = np.frexp(delta)
    assert float(mantissa) * 2**12 == int(float(mantissa) * 2**12)


def test_quantised_sums_are_exact_in_any_order():
    """What integers would give, float64 gives: the order of the sources does not matter."""
    rng = np.random.default_rng(0)
    size = 10.0 ** rng.uniform(-6, 0, (800, 1))
    w = torch.from_numpy((rng.normal(size=(800, 4)) * size).astype(np.float32))
    tile = (np.arange(800) % 7).astype(np.int32)
    q = Memristor(64, 3.0, scale="tile")(w, tile).numpy().astype(np.float64)
    plain = w.numpy().astype(np.float64)
    orders = [rng.permutation(800) for _ in range(20)]
    assert len({tuple(q[order].cumsum(axis=0)[-1]) for order in orders}) == 1
    assert len({tuple(plain[order].cumsum(axis=0)[-1]) for order in orders}) > 1
    exact = [float(sum((Fraction(v) for v in q[:, j]), Fraction(0))) for j in range(4)]
    assert q.cumsum(axis=0)[-1].tolist() == exact


def test_noise_has_the_asked_spread():
    w = torch.full((200, 400), 0.5)
    w[0, 0], tile = 2.0, np.zeros(200, np.int32)
    for memristor, sd in (
        (Memristor(noise=0.05), 0.1),
        (Memristor(spread=0.2), 0.1),
        (Memristor(noise=0.1, spread=0.3), 0.25),
    ):
        drawn = memristor(w, tile, np.random.default_rng(1))[1:]
        assert drawn.std().item() == pytest.approx(sd, rel=0.02)
        assert drawn.mean().item() == pytest.approx(0.5, abs=0.005)
        again = memristor(w, tile, np.random.default_rng(1))[1:]
        assert torch.equal(drawn, again)
        assert not torch.equal(drawn, memristor(w, tile, np.random.default_rng(2))[1:])
        assert torch.equal(memristor(w, tile), w), "no generator, no noise"


def test_gradient_passes_straight_through():
    w, tile = weights(3)
    w.requires_grad_()
    out = Memristor(3, 0.5, 0.2, 0.2)(w, tile, np.random.default_rng(0))
    pull = torch.randn(w.shape, generator=torch.Generator().manual_seed(0))
    (out * pull).sum().backward()
    assert torch.equal(w.grad, pull)


def test_an_ideal_device_changes_nothing():
    w, tile = weights(5)
    assert torch.equal(Memristor()(w, tile, np.random.default_rng(0)), w)
    empty = torch.zeros(0, 4)
    assert Memristor(4, 2.0, 0.1)(empty, np.zeros(0, np.int32), np.random.default_rng(0)).shape == (0, 4)


@pytest.mark.parametrize(
    "wrong", [{"levels": 1}, {"clip": 0.0}, {"noise": -1.0}, {"spread": -0.1}, {"scale": "neuron"}]
)
def test_faulty_devices_are_refused(wrong):
    with pytest.raises(UsageError, match="levels"):
        Memristor(**wrong)
