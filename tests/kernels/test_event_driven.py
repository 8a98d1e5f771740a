"""Tier 1 (Numba) against tier 0 (torch): same spikes, same gradients, over odd shapes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.lif import Lif
from tilewire.kernels.reference import rsnn_reference
from tilewire.kernels.rsnn import rsnn

SHAPES = {
    "batch": st.sampled_from([1, 2, 5, 16, 17, 33]),
    "steps": st.integers(1, 6),
    "n_tiles": st.integers(1, 5),
    "size": st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17, 31, 32, 33, 64]),
    "fan_in": st.integers(0, 7),
    "channels": st.integers(1, 9),
    "dead": st.sampled_from([0.0, 0.3, 1.0]),
}


def everything(case):
    """Read all neurons out, in a scrambled order."""
    return replace(case, readout=np.random.default_rng(0).permutation(case.recurrent.neurons))


def run(case, dtype, seed, tier):
    """(counts, trains, gradient of w_in, gradient of w_rec) for a random linear loss."""
    args = case.args(dtype)
    if tier == "numba":
        counts, trains = rsnn(*args, tier="numba")
    else:
        counts, trains = rsnn_reference(*args, spikes=tier)
    rng = np.random.default_rng(seed)
    loss = (counts * torch.from_numpy(rng.normal(size=counts.shape)).to(dtype)).sum()
    (loss + (trains * torch.from_numpy(rng.normal(size=trains.shape)).to(dtype)).sum()).backward()
    return counts.detach(), trains.detach(), args[1].grad, args[3].grad


def difference(got, want):
    """Relative L2 distance."""
    return float((got.double() - want).norm() / want.norm().clamp(min=1e-12))


def spikes_of(case, trains):
    z = torch.empty_like(trains, dtype=torch.float64)
    z[:, :, torch.from_numpy(case.readout)] = trains.double()
    return z


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 9999), sizes=st.fixed_dictionaries(SHAPES))
def test_float64_equals_the_reference(make_case, seed, sizes):
    case = everything(make_case(seed, **sizes))
    counts, trains, *grads = run(case, torch.float64, seed, "numba")
    want_counts, want_trains, *want = run(case, torch.float64, seed, None)
    torch.testing.assert_close(trains, want_trains, rtol=0, atol=0)
    torch.testing.assert_close(counts, want_counts, rtol=0, atol=0)
    assert all(difference(a, b) < 1e-10 for a, b in zip(grads, want, strict=True))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(seed=st.integers(0, 9999), sizes=st.fixed_dictionaries(SHAPES))
def test_float32_gradients_with_forced_spikes(make_case, seed, sizes):
    case = everything(make_case(seed, **sizes))
    counts, trains, *grads = run(case, torch.float32, seed, "numba")
    torch.testing.assert_close(counts, trains.sum(1)[:, np.argsort(case.readout)])
    _, _, *want = run(case, torch.float64, seed, spikes_of(case, trains))
    _, _, *single = run(case, torch.float32, seed, spikes_of(case, trains))
    for got, torch32, exact in zip(grads, single, want, strict=True):
        # a sum of very few terms may cancel; then torch in float32 is no nearer
        assert difference(got, exact) < max(1e-5, 4 * difference(torch32, exact))


@pytest.mark.parametrize("size", [32, 128])
def test_a_lively_network_of_many_steps(make_case, size):
    case = everything(
        make_case(7, batch=40, steps=50, channels=30, n_tiles=6, size=size, fan_in=20, rate=0.1, gain=0.3)
    )
    counts, trains, *grads = run(case, torch.float32, 7, "numba")
    assert 0.01 < float(counts.mean()) / 50 < 0.5
    _, _, *want = run(case, torch.float64, 7, spikes_of(case, trains))
    assert all(difference(a, b) < 1e-5 for a, b in zip(grads, want, strict=True))


def test_dense_inputs_and_crossbars(make_case):
    """Neighbouring blocks share one packed row; own-tile crossbars do not."""
    base = make_case(3, n_tiles=4, size=20, channels=5, batch=18)
    dense = Blocks(np.repeat(np.arange(5), 4), np.tile(np.arange(4), 5), 5, 4, 20)
    crossbar = Blocks(np.arange(80), np.arange(80) // 20, 80, 4, 20)
    rng = np.random.default_rng(3)
    w_in, w_rec = (torch.from_numpy(rng.normal(0.1, 0.3, (n, 20))) for n in (20, 80))
    case = everything(replace(base, inputs=dense, w_in=w_in, recurrent=crossbar, w_rec=w_rec))
    got, want = run(case, torch.float64, 1, "numba"), run(case, torch.float64, 1, None)
    torch.testing.assert_close(got[1], want[1], rtol=0, atol=0)
    assert got[0].any()
    assert all(difference(a, b) < 1e-10 for a, b in zip(got[2:], want[2:], strict=True))


def test_two_runs_are_bit_identical(make_case):
    case = make_case(11, batch=50, steps=20, size=32, n_tiles=4, gain=0.4)
    first, second = (run(case, torch.float32, 2, "numba") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_without_gradient_the_same_spikes_come_out(make_case):
    case = make_case(12, batch=20, steps=9)
    with torch.no_grad():
        light = rsnn(*case.args(torch.float32), tier="numba")
    full = rsnn(*case.args(torch.float32), tier="numba")
    assert all(torch.equal(a, b) for a, b in zip(light, full, strict=True))


def test_gradient_of_one_output_or_one_weight(make_case):
    case = make_case(13)
    args = case.args()
    rsnn(*args, tier="numba")[1].sum().backward()
    want = case.args()
    rsnn_reference(*want)[1].sum().backward()
    torch.testing.assert_close(args[3].grad, want[3].grad)
    frozen = (args[0], args[1].detach(), *args[2:])
    args[3].grad = None
    rsnn(*frozen, tier="numba")[1].sum().backward()
    torch.testing.assert_close(args[3].grad, want[3].grad)


def test_gradients_flow_to_what_made_the_weights(make_case):
    case = make_case(14)
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    events, w_in, inputs, w_rec, *rest = case.args()
    rsnn(events, w_in.detach() * scale, inputs, w_rec, *rest, tier="numba")[0].sum().backward()
    rsnn(events, w_in, inputs, w_rec, *rest, tier="numba")[0].sum().backward()
    assert float(scale.grad) == pytest.approx(float((w_in.grad * w_in.detach()).sum()))


def test_changing_the_blocks_after_the_forward_pass_does_not_disturb_the_gradient(make_case):
    case = make_case(15, dead=0.0)
    args, want = case.args(), case.args()
    loss = rsnn(*want, tier="numba")[0].sum()
    loss.backward()
    loss = rsnn(*args, tier="numba")[0].sum()
    case.recurrent.tile[:] = -1
    loss.backward()
    torch.testing.assert_close(args[3].grad, want[3].grad)


def test_the_potentials_are_let_go_after_the_backward_pass(make_case):
    args = make_case(17).args()
    counts, _ = rsnn(*args, tier="numba")
    counts.sum().backward(retain_graph=True)
    once = args[3].grad.clone()
    counts.sum().backward()
    torch.testing.assert_close(args[3].grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        counts.sum().backward()


def test_second_derivatives_are_refused(make_case):
    args = make_case(18).args()
    (grad,) = torch.autograd.grad((rsnn(*args, tier="numba")[0] ** 2).sum(), args[3], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.mark.parametrize("tier", ["numba", "reference"])
def test_an_empty_batch(make_case, tier):
    args = make_case(19, batch=0).args()
    counts, trains = rsnn(*args, tier=tier)
    counts.sum().backward()
    assert (counts.shape, trains.shape) == ((0, 12), (0, 7, 3))
    assert not args[3].grad.any()


def test_other_types_are_refused(make_case):
    with pytest.raises(UsageError, match="float16"):
        rsnn(*make_case(0).args(torch.float16), tier="numba")


def test_empty_network_parts(make_case):
    case = make_case(16, lif=Lif(0.9, 1.0, 4.0))
    none = Blocks(np.zeros(0), np.zeros(0), case.recurrent.n_sources, 3, 4)
    counts, trains = rsnn(
        *replace(case, recurrent=none, w_rec=torch.zeros(0, 4), readout=np.zeros(0, int)).args(), tier="numba"
    )
    counts.sum().backward()
    assert trains.shape == (5, 7, 0)
    assert counts.any()
