"""The sparse linear layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError
from tilewire.kernels.crossover import measure
from tilewire.nn.linear import SparseLinear


def test_paths_agree():
    rng = np.random.default_rng(0)
    wired = Connectivity.of(rng.integers(0, 20, 60), rng.integers(0, 30, 60), 20, 30)
    for layer in (
        SparseLinear.csr(wired, rng),
        SparseLinear.fan_in(20, 30, 4, rng),
        SparseLinear.blocks(32, 64, 2, rng, size=16),
    ):
        x = torch.randn(3, 5, layer.pattern.inputs)
        results = []
        for path in ("sparse", "dense", "auto"):
            layer.path = path
            results.append(layer(x))
        assert results[0].shape == (3, 5, layer.pattern.outputs)
        for other in results[1:]:
            torch.testing.assert_close(other, results[0])


def test_initial_variance_is_kept():
    layer = SparseLinear.fan_in(200, 400, 10, np.random.default_rng(0), path="sparse")
    y = layer(torch.randn(500, 200, generator=torch.Generator().manual_seed(0)))
    assert float(y.detach().var()) == pytest.approx(1, abs=0.1)
    blocks = SparseLinear.blocks(256, 256, 3, np.random.default_rng(0), path="sparse")
    y = blocks(torch.randn(500, 256, generator=torch.Generator().manual_seed(0)))
    assert float(y.detach().var()) == pytest.approx(1, abs=0.1)


def test_it_learns_and_holds_only_its_weights():
    layer = SparseLinear.fan_in(8, 6, 2, np.random.default_rng(1), path="sparse")
    assert sum(p.numel() for p in layer.parameters()) == 6 * 2 + 6
    teacher = SparseLinear(layer.pattern, np.random.default_rng(2), path="sparse")
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    for _ in range(300):
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(layer(x), teacher(x).detach())
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 1e-4


def test_the_choice_is_made_once_and_can_be_handed_in():
    rng = np.random.default_rng(0)
    layer = SparseLinear.fan_in(16, 16, 4, rng)
    layer(torch.ones(9, 16))
    (choice,) = layer.crossovers.values()
    layer(torch.ones(15, 16))
    assert list(layer.crossovers.values()) == [choice]
    for seconds, tier in ((0.0, "dense"), (1e9, "numba")):
        known = replace(measure(layer.pattern, 9), sparse_seconds=1.0, dense_seconds=seconds)
        assert SparseLinear(layer.pattern, rng, crossovers=[known]).tier(9) == tier


def test_no_gradient_is_needed_to_choose():
    layer = SparseLinear.fan_in(16, 16, 4, np.random.default_rng(0))
    with torch.no_grad():
        assert not layer(torch.ones(2, 16)).requires_grad


def test_without_bias():
    layer = SparseLinear.fan_in(4, 3, 0, np.random.default_rng(0), bias=False, path="sparse")
    assert layer(torch.ones(2, 4)).tolist() == [[0.0] * 3] * 2
    assert "density=0" in repr(layer)


def test_wrong_requests_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="fan-in 5 of 4"):
        SparseLinear.fan_in(4, 3, 5, rng)
    with pytest.raises(UsageError, match="multiples"):
        SparseLinear.blocks(33, 32, 1, rng)
    with pytest.raises(UsageError, match="did you mean 'sparse'"):
        SparseLinear.fan_in(4, 3, 1, rng, path="spars")
