"""Tier 0 against a dense N x N recurrence, and its surrogate gradient against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.kernels.lif import Lif
from tilewire.kernels.reference import rsnn_reference


def dense_matrix(blocks, weight):
    """[n_sources, N] matrix of the blocks, differentiable, one block at a time."""
    matrix = torch.zeros(blocks.n_sources, blocks.neurons, dtype=weight.dtype)
    for p, (source, tile) in enumerate(zip(blocks.source, blocks.tile, strict=True)):
        if tile >= 0:
            row = torch.zeros_like(matrix)
            at = slice(tile * blocks.tile_size, (tile + 1) * blocks.tile_size)
            row[source, at] = 1
            wide = torch.zeros(blocks.neurons, dtype=weight.dtype)
            wide = torch.cat([wide[: at.start], weight[p], wide[at.stop :]])
            matrix = matrix + row * wide
    return matrix


def dense_network(case_args, activation):
    """The defining recurrence with dense matrices; ``activation(v)`` gives z."""
    events, w_in, inputs, w_rec, recurrent, lif, _ = case_args
    x = torch.from_numpy(events.to_dense()).to(w_in.dtype)
    win, wrec = dense_matrix(inputs, w_in), dense_matrix(recurrent, w_rec)
    v = z = torch.zeros(events.batch, recurrent.neurons, dtype=w_in.dtype)
    out = []
    for t in range(events.steps):
        v = lif.leak * v + x[:, t] @ win + z @ wrec - lif.threshold * (z if lif.reset_gradient else z.detach())
        z = activation(v)
        out.append(z)
    return torch.stack(out, 1)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 999),
    batch=st.integers(1, 4),
    steps=st.integers(1, 6),
    n_tiles=st.integers(1, 4),
    size=st.integers(1, 5),
    fan_in=st.integers(0, 6),
    channels=st.integers(1, 5),
)
def test_spikes_equal_the_dense_network(make_case, seed, **sizes):
    case = make_case(seed, **sizes)
    z = dense_network(case.args(), lambda v: (v > case.lif.threshold).to(v.dtype))
    counts, trains = rsnn_reference(*case.args())
    torch.testing.assert_close(counts, z.sum(1), rtol=0, atol=0)
    torch.testing.assert_close(trains, z[:, :, torch.from_numpy(case.readout)], rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(4))
def test_gradient_is_the_true_one_of_the_soft_network(make_case, seed):
    """x / (1 + s|x|) has the surrogate as its derivative: forcing its values makes the rule exact."""
    case = make_case(seed, batch=2, steps=5, lif=Lif(0.8, 1.0, 3.0, reset_gradient=True))

    def soft(v):
        x = v - case.lif.threshold
        return x / (1 + case.lif.slope * x.abs())

    rng = np.random.default_rng(seed)
    g_counts = torch.from_numpy(rng.normal(size=(2, case.recurrent.neurons)))
    g_trains = torch.from_numpy(rng.normal(size=(2, 5, len(case.readout))))

    def loss(w_in, w_rec):
        args = (case.events, w_in, case.inputs, w_rec, case.recurrent, case.lif, case.readout)
        z = dense_network(args, soft)
        return (z.sum(1) * g_counts).sum() + (z[:, :, torch.from_numpy(case.readout)] * g_trains).sum(), z

    args = case.args()
    z = loss(case.w_in, case.w_rec)[1]
    counts, trains = rsnn_reference(*args, spikes=z)
    ((counts * g_counts).sum() + (trains * g_trains).sum()).backward()
    for name, weight in (("w_in", args[1]), ("w_rec", args[3])):
        direction = torch.from_numpy(rng.normal(size=weight.shape))
        move = {"w_in": case.w_in, "w_rec": case.w_rec}
        ends = [loss(**{**move, name: move[name] + h * direction})[0] for h in (1e-6, -1e-6)]
        assert float((weight.grad * direction).sum()) == pytest.approx(float(ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_reset_gradient_switch_changes_the_gradient_only(make_case):
    results = []
    for reset in (True, False):
        case = make_case(3, lif=Lif(0.9, 1.0, 4.0, reset))
        args = case.args()
        counts, _ = rsnn_reference(*args)
        counts.sum().backward()
        results.append((counts.detach(), args[3].grad))
    torch.testing.assert_close(results[0][0], results[1][0])
    assert not torch.allclose(results[0][1], results[1][1])


def test_dead_slots_get_zero_gradient(make_case):
    case = make_case(5, dead=0.5)
    args = case.args()
    rsnn_reference(*args)[0].sum().backward()
    dead = torch.from_numpy(case.recurrent.tile == -1)
    assert dead.any()
    assert not args[3].grad[dead].any()
    assert args[3].grad[~dead].any()
