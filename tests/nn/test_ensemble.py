"""Networks side by side: each member is the network that it would be alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tilewire.errors import UsageError
from tilewire.nn import ensemble
from tilewire.nn.ensemble import GAIN, Ensemble, draw_values, readout_weights
from tilewire.nn.initialise_sparse import product
from tilewire.nn.topology_cascade import gained
from tilewire.topology.beside import beside
from tilewire.topology.table import family

CASES = [
    ("random", {"depth": 3, "fan_in": 3, "skip": 1}, 12, 12), ("butterfly", {"radix": 2}, 12, 18), ("parallel-sum", {}, 12, 12),
    ("parallel-cross", {}, 16, 16), ("clos", {}, 20, 12), ("pixelfly", {"rank": 2}, 16, 16), ("uniform", {"depth": 2}, 11, 7),
    ("dense", {}, 9, 5),
]  # fmt: skip


def members(name, options, a, b, count=3):
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        layers = [family(name)(a, b, rng, **options), family("dense")(b, 6)]
        found.append((layers, draw_values(layers, rng, "variance"), readout_weights(4, 6, rng)))
    return found


def alone(layers, values, readout, x):
    for one, own in zip(layers, values, strict=True):
        scaled = tuple((*v[:-1], gained(branch[-1], v[-1], GAIN)) for branch, v in zip(one.branches, own, strict=True))
        x = np.maximum(product(one, scaled, x), 0)
    return readout @ x


@pytest.mark.parametrize(("name", "options", "a", "b"), CASES)
@pytest.mark.parametrize("widest", [0, 96])
def test_members_compute_and_learn_alone(name, options, a, b, widest, monkeypatch):
    monkeypatch.setattr(ensemble, "WIDEST_FOLDED", widest)
    group = members(name, options, a, b)
    network = Ensemble(*(list(part) for part in zip(*group, strict=True)))
    x = np.random.default_rng(9).standard_normal((3, 5, a)).astype(np.float32)
    scores = network(torch.from_numpy(x))
    expected = np.stack([alone(*one, x[r].T).T for r, one in enumerate(group)])
    assert scores.detach().numpy() == pytest.approx(expected, abs=1e-4)
    owners = network.member_of()
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p, _ in owners)
    scores[1].square().sum().backward()
    for parameter, owner in owners:
        assert owner.shape == parameter.shape
        assert not parameter.grad[owner != 1].any()
    assert any(parameter.grad[owner == 1].any() for parameter, owner in owners)


def test_refusals():
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="equally many layers"):
        Ensemble([], [], [])
    with pytest.raises(UsageError, match="equal branches"):
        beside([family("random")(8, 8, rng, depth=2), family("random")(8, 8, rng, depth=3)])
    with pytest.raises(UsageError, match="equal widths"):
        beside([family("random")(8, 8, rng, depth=1), family("random")(8, 9, rng, depth=1)])
