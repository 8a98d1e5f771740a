"""W1: the workload is what it says, and every contestant that must agree does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tilewire.bench import w1, w1_peers
from tilewire.kernels.rsnn import rsnn

SMALL = w1.Workload(batch=6, steps=12, channels=9, tiles=3, size=10, density=0.3, input_rate=0.2, rate=0.05, classes=5)


@pytest.fixture(scope="module")
def network():
    return w1.build(SMALL)


def test_branches_are_distinct_and_as_many_as_asked():
    blocks = w1.build(w1.Workload(batch=2, steps=3, tiles=4, size=8, density=0.37)).recurrent
    pairs = set(zip(blocks.source.tolist(), blocks.tile.tolist(), strict=True))
    assert len(pairs) == len(blocks) == round(0.37 * 32 * 4)


@pytest.mark.parametrize("density", [0.02, 0.10])
def test_the_rate_is_met_at_full_size(density):
    network = w1.build(w1.Workload(batch=32, density=density))
    parts = (network.w_in, network.inputs, network.w_rec, network.recurrent)
    counts, _ = rsnn(network.events, *parts, network.lif, network.readout)
    assert 0.029 < float(counts.mean()) / network.workload.steps < 0.031


def test_contestants_walk_the_same_way(network):
    """Equal losses over steps of Adam: the gradients agree as well."""
    steps = {
        "tilewire": w1.OWN["tilewire"],
        "portable": w1.OWN["tilewire-portable"],
        "eager": w1_peers.PEERS["torch-eager"],
    }
    losses = {}
    for name, start in steps.items():
        step = start(network)
        losses[name] = [step() for _ in range(4)]
    assert losses["tilewire"] == pytest.approx(losses["eager"], rel=1e-4)
    assert losses["portable"] == pytest.approx(losses["eager"], rel=1e-4)
    assert len(set(losses["eager"])) == 4


def test_bfloat16_is_near_but_not_among_the_exact(network):
    loss = w1_peers.PEERS["torch-bf16"](network)()
    assert loss == pytest.approx(w1.OWN["tilewire"](network)(), rel=0.5)
    assert "torch-bf16" not in w1_peers.EXACT
    assert set(w1_peers.PEERS) >= w1_peers.EXACT


def test_only_installed_peers_are_offered(monkeypatch):
    monkeypatch.setattr(w1_peers, "find_spec", lambda name: None)
    assert w1_peers.available() == ["torch-eager", "torch-compile", "torch-bf16"]


def test_growth_varies_one_size_a_line():
    for name, line in w1.GROWTH.items():
        field = {"neurons": "tiles", "rate": "rate"}.get(name, name)
        assert len({getattr(workload, field) for workload in line}) == len(line)
        assert len({replace(workload, **{field: 1, "input_rate": 1}) for workload in line}) == 1
