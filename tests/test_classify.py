"""Training of classifiers side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tilewire.classify import FitConfig, MemberAdam, fit, rate_at
from tilewire.data.arrays import ArrayData
from tilewire.nn.ensemble import Ensemble, draw_values, readout_weights
from tilewire.topology.table import family


def blobs(width=8, classes=3, n=90):
    rng = np.random.default_rng(0)
    centre = 1.5 * rng.standard_normal((classes, width))

    def split(count):
        y = rng.integers(0, classes, count)
        return (centre[y] + rng.standard_normal((count, width))).astype(np.float32), y

    return ArrayData("blobs", "synthetic", classes, {"train": split(n), "validation": split(60), "test": split(60)})


def network(seeds):
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        layers = [family("random")(8, 8, rng, depth=2, fan_in=3)]
        found.append((layers, draw_values(layers, rng, "auto"), readout_weights(3, 8, rng)))
    return Ensemble(*(list(part) for part in zip(*found, strict=True)))


def test_members_learn_as_they_would_alone():
    data, config = blobs().standardised(), FitConfig(epochs=6, batch=30)
    both = fit(network([1, 2]), data, config, [1, 2], [0.02, 0.005], test=True)
    alone = [fit(network([s]), data, config, [s], [rate], test=True)[0] for s, rate in ((1, 0.02), (2, 0.005))]
    for one, other in zip(both, alone, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.validation == pytest.approx(other.validation, abs=0.02)
    assert both[0].test > 0.8
    assert fit(network([1]), data, config, [1], [0.02], test=False)[0].test is None


def test_the_same_call_gives_the_same_numbers():
    data, config = blobs().standardised(), FitConfig(epochs=2, batch=30)
    assert fit(network([3]), data, config, [3], [0.01], test=True) == fit(
        network([3]), data, config, [3], [0.01], test=True
    )


def test_adam_is_adam():
    rng = torch.Generator().manual_seed(0)
    ours = torch.randn(5, 3, generator=rng, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    slow, fast = torch.optim.Adam([theirs], lr=0.03), MemberAdam([(ours, torch.full((5, 3), 0.03))])
    for _ in range(5):
        for p in (ours, theirs):
            (p**3).sum().backward()
        slow.step()
        slow.zero_grad()
        fast.step(1.0)
    assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), rel=1e-5)


def test_rate():
    shares = [rate_at(step, 100, 0.1) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[9] == shares[10] == 1.0
    assert shares[-1] < 0.01
    assert rate_at(0, 1, 0.5) == 1.0
