"""Sparse linear layers: every tier against the matrix it stands for, over odd shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError
from tilewire.kernels.linear import TIERS, sparse_linear
from tilewire.kernels.patterns import BlockPattern, RowPattern

BATCH = st.sampled_from([0, 1, 2, 15, 16, 17, 63, 64, 100, 128, 129, 200])
SIDE = st.sampled_from([1, 2, 7, 16, 17, 31, 48, 64, 65])
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def random_rows(rng, inputs, outputs, density, sort=True):
    """Rows of any length, some empty."""
    wired = Connectivity.of(*np.nonzero(rng.random((inputs, outputs)) < density), inputs, outputs)
    pattern = RowPattern.of(wired)
    if sort:
        return pattern
    index = np.concatenate(
        [rng.permutation(pattern.index[a:b]) for a, b in zip(pattern.ptr, pattern.ptr[1:], strict=False)]
    )
    return RowPattern(pattern.ptr, index, inputs)


def random_blocks(rng, sources, targets, rows, columns, blocks):
    """Blocks anywhere, repeats allowed."""
    source, target = rng.integers(0, sources, blocks), rng.integers(0, targets, blocks)
    return BlockPattern(source, target, rows, columns, sources, targets)


def matrix_of(weight, pattern):
    """The layer as a matrix [inputs, outputs], entry by entry."""
    matrix = np.zeros((pattern.inputs, pattern.outputs))
    if isinstance(pattern, RowPattern):
        for o in range(pattern.outputs):
            for k in range(pattern.ptr[o], pattern.ptr[o + 1]):
                matrix[pattern.index[k], o] += weight[k]
        return matrix
    for block, source, target in zip(weight, pattern.source, pattern.target, strict=True):
        i, j = source * pattern.rows, target * pattern.columns
        matrix[i : i + pattern.rows, j : j + pattern.columns] += block
    return matrix


def gradient_of(matrix, pattern):
    """The gradient of a matrix [inputs, outputs] at the places of the packed weights."""
    if isinstance(pattern, RowPattern):
        return matrix[pattern.index, pattern.output]
    i = pattern.source[:, None] * pattern.rows + np.arange(pattern.rows)
    j = pattern.target[:, None] * pattern.columns + np.arange(pattern.columns)
    return matrix[i[:, :, None], j[:, None, :]]


def difference(got, want):
    got = got.detach().double().numpy()
    assert got.shape == want.shape
    return np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-9)


def check(pattern, batch, dtype, tier, rng):
    """Value and both gradients against products with the matrix in float64."""
    x, error = rng.normal(size=(batch, pattern.inputs)), rng.normal(size=(batch, pattern.outputs))
    weight = rng.normal(size=pattern.shape)
    x, error, weight = (a.astype(np.float32).astype(np.float64) for a in (x, error, weight))
    leaves = [torch.from_numpy(a).to(dtype).requires_grad_() for a in (x, weight)]
    y = sparse_linear(*leaves, pattern, tier)
    y.backward(torch.from_numpy(error).to(dtype))
    matrix = matrix_of(weight, pattern)
    assert difference(y, x @ matrix) < TOLERANCE[dtype]
    assert difference(leaves[0].grad, error @ matrix.T) < TOLERANCE[dtype]
    assert difference(leaves[1].grad, gradient_of(x.T @ error, pattern)) < TOLERANCE[dtype]


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 9999), batch=BATCH, inputs=SIDE, outputs=SIDE, density=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    dtype=st.sampled_from(list(TOLERANCE)), tier=st.sampled_from(list(TIERS)), sort=st.booleans(),
)  # fmt: skip
def test_rows_equal_the_matrix(seed, batch, inputs, outputs, density, dtype, tier, sort):
    rng = np.random.default_rng(seed)
    check(random_rows(rng, inputs, outputs, density, sort), batch, dtype, tier, rng)


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 9999), batch=BATCH, sources=st.integers(1, 5), targets=st.integers(1, 5), blocks=st.integers(0, 9),
    rows=st.sampled_from([1, 3, 8, 16, 24, 32, 40]), columns=st.sampled_from([1, 5, 8, 16, 32, 56, 64]),
    dtype=st.sampled_from(list(TOLERANCE)), tier=st.sampled_from(list(TIERS)),
)  # fmt: skip
def test_blocks_equal_the_matrix(seed, batch, sources, targets, blocks, rows, columns, dtype, tier):
    rng = np.random.default_rng(seed)
    check(random_blocks(rng, sources, targets, rows, columns, blocks), batch, dtype, tier, rng)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kind", ["rows", "narrow", "blocks"])
def test_gradcheck(tier, kind):
    rng = np.random.default_rng(1)
    pattern = {
        "rows": random_rows(rng, 7, 5, 0.5), "narrow": random_blocks(rng, 3, 2, 2, 3, 4), "blocks": random_blocks(rng, 2, 2, 8, 8, 3),
    }[kind]  # fmt: skip
    x = torch.from_numpy(rng.normal(size=(3, pattern.inputs))).requires_grad_()
    weight = torch.from_numpy(rng.normal(size=pattern.shape)).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: sparse_linear(a, b, pattern, tier), (x, weight))


def test_constant_fan_in_is_rows_of_one_length():
    pattern = RowPattern.fan_in([[0, 3], [1, 2], [2, 3]], 4)
    assert pattern.outputs == 3
    assert pattern.density == 0.5
    y = sparse_linear(torch.tensor([[1.0, 10, 100, 1000]]), torch.arange(6.0), pattern)
    assert y.tolist() == [[1000.0, 320.0, 5400.0]]


def test_threads_do_not_change_the_result():
    rng = np.random.default_rng(2)
    before = torch.get_num_threads()
    for pattern in (random_rows(rng, 300, 500, 0.4), random_blocks(rng, 6, 7, 32, 32, 40)):
        results = []
        x, error = torch.randn(128, pattern.inputs), torch.randn(128, pattern.outputs)
        weight = torch.randn(pattern.shape)
        try:
            for threads in (1, 3):
                torch.set_num_threads(threads)
                leaves = [x.clone().requires_grad_(), weight.clone().requires_grad_()]
                y = sparse_linear(*leaves, pattern)
                y.backward(error)
                results.append((y.detach(), leaves[0].grad, leaves[1].grad))
        finally:
            torch.set_num_threads(before)
        assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_weight_changed_before_backward_is_noticed():
    pattern = RowPattern.fan_in([[0], [1]], 2)
    weight = torch.ones(2, requires_grad=True)
    y = sparse_linear(torch.ones(1, 2), weight, pattern)
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_full_pattern_is_a_view():
    pattern = RowPattern.fan_in(np.tile(np.arange(4), (3, 1)), 4)
    assert pattern.is_full
    assert not RowPattern.fan_in([[1, 0]], 2).is_full


@pytest.mark.parametrize(
    ("x", "weight", "tier", "match"),
    [
        (torch.ones(1, 3), torch.ones(2), None, "x is"),
        (torch.ones(2), torch.ones(2), None, "x is"),
        (torch.ones(1, 2), torch.ones(3), None, "weights are"),
        (torch.ones(1, 2).double(), torch.ones(2), None, "float64"),
        (torch.ones(1, 2).half(), torch.ones(2).half(), None, "float16"),
        (torch.ones(1, 2), torch.ones(2), "nmba", "did you mean 'numba'"),
    ],
)
def test_what_disagrees_is_named(x, weight, tier, match):
    with pytest.raises(UsageError, match=match):
        sparse_linear(x, weight, RowPattern.fan_in([[0], [1]], 2), tier)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RowPattern(np.array([0, 2]), np.array([0]), 1),
        lambda: RowPattern(np.array([0, 1]), np.array([1]), 1),
        lambda: RowPattern(np.array([0, 2, 1]), np.array([0]), 1),
        lambda: RowPattern.fan_in([0, 1], 2),
        lambda: BlockPattern(np.array([0]), np.array([2]), 8, 8, 2, 2),
        lambda: BlockPattern(np.array([-1]), np.array([0]), 8, 8, 2, 2),
        lambda: BlockPattern(np.array([0]), np.array([0, 1]), 8, 8, 2, 2),
        lambda: BlockPattern(np.array([0]), np.array([0]), 0, 8, 2, 2),
    ],
)
def test_impossible_patterns_are_refused(make):
    with pytest.raises(UsageError):
        make()


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 9999), sources=st.integers(1, 4), targets=st.integers(1, 4), share=st.sampled_from([0.0, 0.5, 1.0]),
    rows=st.sampled_from([1, 3, 8, 32]), columns=st.sampled_from([1, 5, 16, 40]), dtype=st.sampled_from(list(TOLERANCE)),
)  # fmt: skip
def test_blocks_apart_spread_row_by_row(seed, sources, targets, share, rows, columns, dtype):
    rng = np.random.default_rng(seed)
    source, target = np.nonzero(rng.random((sources, targets)) < share)
    shuffled = rng.permutation(source.size)
    pattern = BlockPattern(source[shuffled], target[shuffled], rows, columns, sources, targets)
    assert pattern.is_simple
    check(pattern, 5, dtype, "dense", rng)


def test_blocks_in_one_place_are_not_simple():
    assert not BlockPattern(np.array([1, 1]), np.array([0, 0]), 8, 8, 2, 1).is_simple
