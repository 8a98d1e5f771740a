"""The cascade layer."""

from __future__ import annotations

import numpy as np
import torch

from tilewire.kernels.stages import Stages
from tilewire.nn.cascade import SparseCascade


def test_it_starts_orthogonal():
    for stages in (Stages.butterfly(32), Stages.of_radices([8, 4]), Stages.of_radices([3, 5, 2])):
        layer = SparseCascade(stages, np.random.default_rng(0))
        matrix = layer(torch.eye(stages.size)).detach()
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(stages.size), rtol=0, atol=1e-5)


def test_leading_dimensions_bias_and_views():
    layer = SparseCascade(Stages.of_radices([2, 3]), np.random.default_rng(0))
    assert layer(torch.ones(4, 5, 6)).shape == (4, 5, 6)
    assert layer.stage_weight(1).shape == (2, 3, 3)
    assert layer.stage_weight(0).shape == (3, 2, 2)
    assert "radices=[2, 3]" in repr(layer)
    bare = SparseCascade(Stages.of_radices([2, 3]), np.random.default_rng(0), bias=False)
    assert [name for name, _ in bare.named_parameters()] == ["weight"]


def test_it_learns_an_orthogonal_cascade():
    stages = Stages.butterfly(8)
    teacher, layer = (SparseCascade(stages, np.random.default_rng(seed)) for seed in (1, 2))
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.03)
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(200):
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(layer(x), teacher(x).detach())
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]
