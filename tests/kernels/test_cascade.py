"""Cascades: every tier against the product of the matrices it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.kernels import numba_cascade
from tilewire.kernels.cascade import TIERS, cascade
from tilewire.kernels.stages import Stage, Stages

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
CASES = [
    Stages.butterfly(16), Stages.butterfly(32), Stages.butterfly(64, 4), Stages.butterfly(27, 3), Stages.of_radices([2, 4, 3]),
    Stages.of_radices([8, 6]), Stages.of_radices([5, 7]), Stages.of_radices([2]), Stages.of_radices([2, 2]), Stages.of_radices([1, 3]),
    Stages(24, (Stage(2, 4), Stage(2, 2), Stage(2, 1), Stage(2, 2), Stage(3, 8))), Stages(16, (Stage(2, 8), Stage(2, 1))), Stages(5, ()),
]  # fmt: skip


def matrices(weight, stages):
    """One matrix [out, in] per stage, entry by entry from the definition."""
    found, at = [], 0
    for stage in stages.stages:
        matrix = np.zeros((stages.size, stages.size))
        for a in range(stages.size // (stage.radix * stage.stride)):
            for c in range(stage.stride):
                for d in range(stage.radix):
                    for e in range(stage.radix):
                        k = ((a * stage.stride + c) * stage.radix + d) * stage.radix + e
                        base = a * stage.radix * stage.stride + c
                        matrix[base + d * stage.stride, base + e * stage.stride] = weight[at + k]
        found.append(matrix)
        at += stages.size * stage.radix
    return found


def run(x, weight, error, stages, dtype, tier):
    leaves = [torch.from_numpy(a).to(dtype).requires_grad_() for a in (x, weight)]
    y = cascade(*leaves, stages, tier)
    y.backward(torch.from_numpy(error).to(dtype))
    return [t.detach().double() for t in (y, leaves[0].grad if leaves[0].grad is not None else y, leaves[1].grad)]


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 9999), stages=st.sampled_from(CASES), batch=st.sampled_from([0, 1, 3, 16, 17, 64, 65, 130]),
    dtype=st.sampled_from(list(TOLERANCE)), tier=st.sampled_from(list(TIERS)),
)  # fmt: skip
def test_a_cascade_is_a_product_of_matrices(seed, stages, batch, dtype, tier):
    rng = np.random.default_rng(seed)
    x, error = (rng.normal(size=(batch, stages.size)).astype(np.float32).astype(np.float64) for _ in range(2))
    weight = rng.normal(size=stages.weights).astype(np.float32).astype(np.float64)
    if not stages.stages:
        assert torch.equal(cascade(torch.from_numpy(x), torch.zeros(0).double(), stages, tier), torch.from_numpy(x))
        return
    y, dx, dw = run(x, weight, error, stages, dtype, tier)
    whole = np.eye(stages.size)
    for matrix in matrices(weight, stages):
        whole = matrix @ whole
    _, _, want = run(x, weight, error, stages, torch.float64, "reference")
    for got, expected in ((y, x @ whole.T), (dx, error @ whole), (dw, want.numpy())):
        assert np.linalg.norm(got.numpy() - expected) <= TOLERANCE[dtype] * max(np.linalg.norm(expected), 1e-9)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("radices", [[2, 2], [2, 2, 2], [4, 2], [3, 2]])
def test_gradcheck(tier, radices):
    rng = np.random.default_rng(0)
    stages = Stages.of_radices(radices)
    x = torch.from_numpy(rng.normal(size=(3, stages.size))).requires_grad_()
    weight = torch.from_numpy(rng.normal(size=stages.weights)).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: cascade(a, b, stages, tier), (x, weight))


def test_neighbouring_radix_2_stages_run_as_one_of_radix_4():
    assert numba_cascade.plan_of(Stages.butterfly(1024)).radix.tolist() == [4] * 5
    falling = Stages(8, (Stage(2, 4), Stage(2, 2), Stage(2, 1)))
    assert numba_cascade.plan_of(falling).radix.tolist() == [4, 2]
    assert numba_cascade.plan_of(Stages(16, (Stage(2, 1), Stage(2, 4)))).radix.tolist() == [2, 2]


def test_large_cascades_take_narrow_chunks():
    few, many = (numba_cascade.chunk_of(numba_cascade.plan_of(Stages.butterfly(n)), 4) for n in (64, 1 << 15))
    assert many < few or few == 16


def test_threads_change_the_weight_gradient_by_rounding_only():
    rng = np.random.default_rng(3)
    stages, before = Stages.butterfly(256), torch.get_num_threads()
    x, error, weight = rng.normal(size=(2500, 256)), rng.normal(size=(2500, 256)), rng.normal(size=stages.weights)
    try:
        torch.set_num_threads(1)
        one = run(x, weight, error, stages, torch.float64, "numba")
        torch.set_num_threads(3)
        three, again = (run(x, weight, error, stages, torch.float64, "numba") for _ in range(2))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one[0], three[0])
    assert torch.equal(one[1], three[1])
    assert torch.equal(three[2], again[2])
    torch.testing.assert_close(one[2], three[2], rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Stages.butterfly(24), "no power of radix 2"),
        (lambda: Stages.butterfly(8, 1), "no power"),
        (lambda: Stages(8, (Stage(2, 8),)), "stage 0"),
        (lambda: Stages(8, (Stage(0, 1),)), "stage 0"),
        (lambda: cascade(torch.ones(1, 3), torch.ones(8), Stages.butterfly(4)), "x is"),
        (lambda: cascade(torch.ones(1, 4), torch.ones(9), Stages.butterfly(4)), "weights are"),
        (lambda: cascade(torch.ones(1, 4).double(), torch.ones(16), Stages.butterfly(4)), "float64"),
        (lambda: cascade(torch.ones(1, 4), torch.ones(16), Stages.butterfly(4), "numab"), "did you mean 'numba'"),
    ],
)
def test_impossible_cascades_are_refused(make, match):
    with pytest.raises(UsageError, match=match):
        make()
