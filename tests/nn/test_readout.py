import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.nn.readout import READOUTS, CountReadout, LeakyReadout, rate_hinge

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 4), st.integers(1, 3))


def spikes(batch, steps, neurons, seed):
    drawn = np.random.default_rng(seed).random((batch, steps, neurons)) < 0.4
    return torch.from_numpy(drawn.astype(np.float64))


@settings(deadline=None, max_examples=60)
@given(SHAPES, st.floats(0.1, 100), st.floats(0.1, 5), st.integers(0, 99))
def test_leaky_closed_form_equals_the_recursion(shape, tau, scale, seed):
    batch, steps, classes, per_class = shape
    trains = spikes(batch, steps, classes * per_class, seed)
    leak, trace, total = np.exp(-1 / tau), torch.zeros(batch, classes * per_class), 0.0
    for t in range(steps):
        trace = leak * trace + trains[:, t]
        total = total + trace
    slow = scale * (total / steps).reshape(batch, classes, per_class).mean(dim=2)
    fast = LeakyReadout(classes, per_class, scale, tau)(torch.zeros(batch, 1), trains)
    assert torch.allclose(fast, slow.to(fast.dtype), rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(SHAPES, st.integers(0, 99))
def test_counts_are_means_over_the_neurons_of_a_class(shape, seed):
    batch, steps, classes, per_class = shape
    trains = spikes(batch, steps, classes * per_class, seed)
    scores = CountReadout(classes, per_class, 2.0)(torch.zeros(0), trains)
    counts = trains.sum(dim=1)
    for c in range(classes):
        own = [counts[:, c * per_class + k] for k in range(per_class)]
        assert torch.allclose(scores[:, c], 2.0 * torch.stack(own).mean(dim=0))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 9), st.floats(0, 0.5), st.floats(0.5, 1), st.floats(0, 10), st.integers(0, 99))
def test_rate_hinge_punishes_what_leaves_the_band(neurons, steps, low, high, weight, seed):
    counts = spikes(3, steps, neurons, seed).sum(dim=1)
    expected = 0.0
    for i in range(neurons):
        rate = float(counts[:, i].mean()) / steps
        expected += max(low - rate, 0) ** 2 + max(rate - high, 0) ** 2
    assert float(rate_hinge(counts, steps, low, high, weight)) == pytest.approx(weight * expected, abs=1e-12)


def test_rate_hinge_pulls_rates_into_the_band():
    counts = torch.tensor([[0.0, 5.0, 10.0]], requires_grad=True)
    rate_hinge(counts, 10, 0.2, 0.8, 1.0).backward()
    assert counts.grad is not None
    assert torch.sign(counts.grad).tolist() == [[-1.0, 0.0, 1.0]]


def test_table_of_readouts_is_what_recipes_name():
    assert set(READOUTS) == {"counts", "leaky"}
