"""Inference: equal to the defining loop bit for bit, near the training arithmetic, same for all threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.kernels.numba_infer import count_flips, infer
from tilewire.kernels.rsnn import rsnn


def numpy_arguments(case):
    weights = (w.detach().numpy().astype(np.float32) for w in (case.w_in, case.w_rec))
    w_in, w_rec = weights
    return case.events, w_in, case.inputs, w_rec, case.recurrent, case.lif


def slow(events, w_in, inputs, w_rec, recurrent, lif):
    """The definition, one Python float at a time; returns spikes and the last potentials."""
    x, n, size = events.to_dense(), recurrent.neurons, recurrent.tile_size
    z_all = np.zeros((events.batch, events.steps, n), bool)
    for b in range(events.batch):
        v, z = [0.0] * n, [0.0] * n
        for t in range(events.steps):
            acc = [0.0] * n
            for blocks, weight, active in ((inputs, w_in, x[b, t]), (recurrent, w_rec, np.array(z))):
                for source in np.flatnonzero(active):
                    for p in range(len(blocks)):
                        if blocks.source[p] == source and blocks.tile[p] >= 0:
                            for j in range(size):
                                term = float(active[source]) * float(weight[p, j])
                                acc[blocks.tile[p] * size + j] += term
            for i in range(n):
                v[i] = lif.leak * v[i] - lif.threshold * z[i] + acc[i]
                z[i] = 1.0 if v[i] > lif.threshold else 0.0
                z_all[b, t, i] = z[i] == 1.0
    return z_all


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 9999),
    batch=st.integers(1, 3),
    steps=st.integers(1, 8),
    n_tiles=st.integers(1, 3),
    size=st.integers(1, 5),
    fan_in=st.integers(0, 5),
    threads=st.integers(1, 3),
)
def test_equal_to_the_definition(make_case, seed, threads, **sizes):
    arguments = numpy_arguments(make_case(seed, **sizes))
    got = infer(*arguments, threads=threads)
    np.testing.assert_array_equal(got.to_dense() > 0, slow(*arguments))
    assert (got.count == 1).all()


def test_the_last_bit_decides():
    """A threshold equal to the sum in the defined order: any other order or precision moves a spike."""
    rng = np.random.default_rng(5)
    n = 40
    weights = rng.normal(size=(n, 1)).astype(np.float32) * np.float32(10.0) ** rng.integers(-6, 6, (n, 1))
    weights = np.abs(weights).astype(np.float32)
    total = 0.0
    for w in weights[:, 0]:
        total += float(w)
    inputs = Blocks(np.arange(n)[::-1], np.zeros(n, int), n, 1, 1)
    none = Blocks(np.zeros(0), np.zeros(0), 1, 1, 1)
    events = SpikeEvents.from_dense(np.ones((1, 1, n)))
    spikes = [
        infer(events, weights[::-1], inputs, np.zeros((0, 1)), none, Lif(0.5, threshold)).channel.size
        for threshold in (total, float(np.nextafter(total, 0)))
    ]
    assert spikes == [0, 1]


def test_leak_and_reset_round_one_by_one():
    """v = (leak v - threshold z) + acc in float64: one neuron for many steps against Python floats."""
    rng = np.random.default_rng(6)
    steps, n = 200, 64
    drive = rng.random((n, steps)).astype(np.float32)
    inputs = Blocks(np.arange(steps), np.zeros(steps, int), steps, 1, n)
    none = Blocks(np.zeros(0), np.zeros(0), n, 1, n)
    lif = Lif(0.9, 0.7310585)
    got = infer(SpikeEvents.from_dense(np.eye(steps)[None]), drive.T.copy(), inputs, np.zeros((0, n)), none, lif)
    want = np.zeros((steps, n))
    v, z = [0.0] * n, [0.0] * n
    for t in range(steps):
        for i in range(n):
            v[i] = lif.leak * v[i] - lif.threshold * z[i] + float(drive[i, t])
            want[t, i] = z[i] = float(v[i] > lif.threshold)
    np.testing.assert_array_equal(got.to_dense()[0], want)


def test_many_spikes_grow_the_list(make_case):
    case = make_case(1, batch=3, steps=60, n_tiles=4, size=30, lif=Lif(1.0, 1e-3), rate=0.9)
    events, w_in, *rest = numpy_arguments(case)
    one, many = (infer(events, np.abs(w_in), *rest, threads=n) for n in (1, 3))
    assert one.channel.size > 4000
    assert one.channel.tobytes() == many.channel.tobytes()
    assert one.ptr.tobytes() == many.ptr.tobytes()


def test_flips_against_training(make_case):
    case = make_case(2, batch=9, steps=30, n_tiles=4, size=16, gain=0.5)
    case = replace(case, readout=np.arange(64))
    spikes = infer(*numpy_arguments(case))
    trains = rsnn(*case.args(torch.float64), tier="numba")[1].detach().numpy()
    assert count_flips(trains, spikes) == 0
    np.testing.assert_array_equal(spikes.totals(), trains.sum(1))
    changed = trains.copy()
    changed[0, 0, :5] = 1 - changed[0, 0, :5]
    assert count_flips(changed, spikes) == 5
    with pytest.raises(UsageError, match="trains"):
        count_flips(trains[:, 1:], spikes)


def test_shapes_are_checked(make_case):
    events, w_in, inputs, w_rec, recurrent, lif = numpy_arguments(make_case(3))
    with pytest.raises(UsageError, match="w_rec"):
        infer(events, w_in, inputs, w_rec[1:], recurrent, lif)
    other = numpy_arguments(make_case(3, n_tiles=2, size=6))
    with pytest.raises(UsageError, match="different tiles"):
        infer(events, other[1], other[2], w_rec, recurrent, lif)
