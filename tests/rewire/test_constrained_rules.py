"""Every rule in a tiled network: the budget holds, dormant synapses are silent, the optimiser forgets, runs continue bit-identically."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.mapping.budgets import BUDGETS, build_budget
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.candidates import branch_gradient
from tilewire.rewire.constrained import Constrained
from tilewire.rewire.deepr import SoftDeepR
from tilewire.rewire.drop import DROP_RULES, build_drop
from tilewire.rewire.grow import ByGradient, uniform

LAW = AboveThreshold(0.4, 1.0)
OPTIONS = {"l1": 1.0, "temperature": 0.5, "density": 0.7, "share": 0.4, "horizon": 20}
OPTIMISERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.02, momentum=0.5),
}


def built(rule, seed=0, optimiser="adam", kind="hop-profile", min_live=0.5):
    rng = np.random.default_rng(seed)
    family = (mosaic, mesh)[seed % 2]
    size = int(rng.integers(2, 6))
    fabric = family((int(rng.integers(2, 4)), int(rng.integers(2, 4))), size, router=int(rng.integers(1, 5)), tile_in=5)
    tile_of = (np.arange(fabric.n_neurons) // size).astype(np.int32)
    profile = {d: float(rng.random()) for d in fabric.hop_classes}
    options = {"profile": profile, "fan_in": 3, "fan_out": 2, "router": ("one-turn", "negotiated")[seed % 3 == 0]}
    options |= {"devices": fabric.memory(np.zeros_like(fabric.port_width)).total * 2, "tile_out": "sized"}
    parts = [{"kind": "ports"}, {"kind": "fan", "fan_in": 4}]
    budget = build_budget(kind, fabric, tile_of, options | {"all": parts})
    net = TiledRSNN(fabric, TiledSpec(size, 2), Lif(0.9), budget.branches(), LAW, rng)
    net.tier = "reference"
    return Constrained(
        net, OPTIMISERS[optimiser](net.parameters()), budget, build_drop(rule, 0.4, min_live, **OPTIONS), LAW, seed
    )


def batch_of(constrained, seed):
    x = np.random.default_rng(seed).random((3, 6, constrained.network.spec.channels)) < 0.6
    return SpikeEvents.from_dense(x.astype(np.uint8))


def objective(counts, trains):
    return counts.square().sum() / 10 - 3 * trains.sum()


def update(constrained, seed):
    constrained.optimiser.zero_grad()
    objective(*constrained.network(batch_of(constrained, seed))).backward()
    constrained.optimiser.step()


def moments(constrained):
    parameter = constrained.network.w_rec
    found = constrained.optimiser.state[parameter].values()
    return [
        v[constrained.network.n_local :] for v in found if isinstance(v, torch.Tensor) and v.shape == parameter.shape
    ]


@pytest.mark.parametrize("rule", sorted(DROP_RULES))
@pytest.mark.parametrize("kind", sorted(BUDGETS))
@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 10_000), optimiser=st.sampled_from(sorted(OPTIMISERS)), guided=st.booleans())
def test_budget_holds_and_the_dead_stay_dead(rule, kind, seed, optimiser, guided):
    constrained = built(rule, seed, optimiser, kind)
    table = constrained.network.branches
    for step in range(3):
        update(constrained, step)
        grow = uniform
        if guided:
            grow = ByGradient(
                lambda absent, s=step: branch_gradient(constrained.network, batch_of(constrained, s), objective, absent)
            )
        living = int((table.tile != DEAD).sum())
        done = constrained.step(grow)
        assert constrained.excess().fits
        assert int((table.tile != DEAD).sum()) == living - done.killed.size + done.born.size
        live = constrained.network.live_branches()
        assert len(live) == int((table.tile != DEAD).sum()), "no branch twice"
        assert not np.any(live.source // table.tile_size == live.target), "no branch into the own tile"
        assert not constrained.network.branch_weight[table.tile == DEAD].any()
        for moment in moments(constrained):
            assert not moment[np.union1d(done.killed, done.born)].any()


@pytest.mark.parametrize("optimiser", sorted(OPTIMISERS))
@pytest.mark.parametrize("seed", range(3))
def test_deepr_signs_hold_and_dormant_synapses_never_creep_back(seed, optimiser):
    constrained = built("deepr", seed, optimiser)
    weight = constrained.network.branch_weight
    fallen = 0
    for step in range(12):
        before = np.sign(weight)
        update(constrained, step)
        now = np.sign(weight)
        assert np.all((now == before) | (now == 0)), "no sign changes, nothing dormant wakes"
        dormant = torch.from_numpy(now == 0)
        assert all(not moment[dormant].any() for moment in moments(constrained))
        fallen += int(((before != 0) & (now == 0)).sum())
        if step % 4 == 3:
            needed = int(np.ceil(0.5 * weight.shape[1]))
            weak = ((weight != 0).sum(1) < needed) & (constrained.network.branches.tile != DEAD)
            assert np.array_equal(np.flatnonzero(weak), constrained.step().killed)
    assert fallen


def test_gradient_norm_knows_live_synapses_only():
    told = asleep = 0
    for seed in range(6):
        constrained = built("deepr", seed)
        for step in range(4):
            update(constrained, step)
        dormant = constrained.network.branch_weight == 0
        constrained.network.zero_grad()
        objective(*constrained.network(batch_of(constrained, 4))).backward()
        gradient = constrained.network.w_rec.grad[constrained.network.n_local :].numpy()
        assert not gradient[dormant].any()
        told, asleep = told + int(gradient.any()), asleep + int(dormant.sum())
    assert told > 2
    assert asleep > 20


def test_soft_deepr_brings_synapses_back_with_their_sign_and_no_moments():
    constrained = built("soft-deepr", 4)
    assert isinstance(constrained.drop, SoftDeepR)
    weight, sign = constrained.network.branch_weight, constrained.synapses.sign.copy()
    risen = 0
    for step in range(30):
        dormant = weight == 0
        update(constrained, step)
        back = dormant & (weight != 0)
        assert np.all(np.sign(weight[weight != 0]) == sign[weight != 0])
        assert all(not moment[torch.from_numpy(back)].any() for moment in moments(constrained))
        risen += int(back.sum())
    assert risen


@pytest.mark.parametrize("rule", sorted(DROP_RULES))
@pytest.mark.parametrize("kind", ["hop-profile", "ports"])
def test_continues_bit_identically(rule, kind):
    """Saved between two rewiring steps, into a fresh network of the same recipe."""
    ahead = built(rule, 3, kind=kind)
    for step in range(5):
        update(ahead, step)
        if step == 2:
            ahead.step()
    net, state = ahead.network, ahead.rewiring.state
    saved = {name: value.detach().clone() for name, value in net.named_parameters()}
    wiring = net.branches.source.copy(), net.branches.tile.copy()
    optimiser, budget, rule_arrays = ahead.optimiser.state_dict(), state.arrays(), ahead.arrays()

    resumed = built(rule, 3, kind=kind)
    with torch.no_grad():
        for name, value in resumed.network.named_parameters():
            value.copy_(saved[name])
    table = resumed.network.branches
    table.source[:], table.tile[:] = wiring
    resumed.optimiser.load_state_dict(copy.deepcopy(optimiser))
    resumed.restart(1, budget or None, rule_arrays or None)
    for one in (ahead, resumed):
        for step in range(5, 9):
            update(one, step)
            one.step()
    assert torch.equal(ahead.network.w_rec, resumed.network.w_rec)
    again, before = resumed.arrays(), ahead.arrays()
    assert {name: value.tobytes() for name, value in again.items()} == {
        name: value.tobytes() for name, value in before.items()
    }
    assert np.array_equal(ahead.network.branches.tile, resumed.network.branches.tile)
    assert rule not in ("deepr", "soft-deepr") or ahead.arrays()["updates"] == 9


def test_rigl_anneals_with_the_rewiring_steps():
    constrained = built("rigl", 2)
    killed = [constrained.step().killed.size for _ in range(22)]
    assert killed[0] > 0
    assert killed[-1] == 0
    assert killed == sorted(killed, reverse=True)
