import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import BudgetError
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.mapping.budget import HopProfile
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.tiled import TiledRSNN, TiledSpec
from tilewire.rewire.constrained import Constrained, forget
from tilewire.rewire.drop import BranchThreshold

LAW = AboveThreshold(0.3, 0.5)
OPTIMISERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.05),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "plain": lambda p: torch.optim.SGD(p, lr=0.05),
}


def built(optimiser="adam", grid=(2, 3), s=4, profile=None, seed=0, min_live=0.75, spare=0):
    fabric = mosaic(grid, s)
    tile_of = (np.arange(fabric.n_neurons) // s).astype(np.int32)
    budget = HopProfile.of(fabric, {1: 0.5, 3: 0.25} if profile is None else profile, tile_of)
    slots = budget.branches() + spare
    net = TiledRSNN(fabric, TiledSpec(5, 2), Lif(0.9), slots, LAW, np.random.default_rng(seed))
    net.tier = "reference"
    optim = OPTIMISERS[optimiser](net.parameters())
    return Constrained(net, optim, budget, BranchThreshold(0.3, min_live), LAW, seed)


def train(constrained, steps=3, seed=0):
    net, rng = constrained.network, np.random.default_rng(seed)
    for _ in range(steps):
        x = SpikeEvents.from_dense((rng.random((4, 8, 5)) < 0.6).astype(np.uint8))
        constrained.optimiser.zero_grad()
        counts, trains = net(x)
        (counts.sum() - 3 * trains.sum()).backward()
        constrained.optimiser.step()


def moments(constrained):
    parameter = constrained.network.w_rec
    state = constrained.optimiser.state[parameter]
    return [v for v in state.values() if isinstance(v, torch.Tensor) and v.shape == parameter.shape]


def wiring(constrained):
    net = constrained.network
    return net.branches.source.copy(), net.branches.tile.copy(), net.w_rec.detach().numpy().copy()


@pytest.mark.parametrize("name", ["adam", "adamw", "momentum"])
def test_reborn_branches_have_no_memory(name):
    constrained = built(name)
    train(constrained)
    constrained.network.branch_weight[::2] = 0.0  # half of the branches die
    before = [moment.clone() for moment in moments(constrained)]
    assert any(moment.any() for moment in before)
    report = constrained.step()
    first = constrained.network.n_local
    touched = np.union1d(report.killed, report.born) + first
    kept = np.setdiff1d(np.arange(len(constrained.network.w_rec)), touched)
    assert report.born.size >= constrained.network.branch_weight.shape[0] // 2
    for old, new in zip(before, moments(constrained), strict=True):
        assert not new[touched].any()
        assert torch.equal(new[kept], old[kept])


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_dead_slots_never_move(name):
    constrained = built(name, spare=5)
    for step in range(4):
        train(constrained, seed=step)
        dead = constrained.network.branches.tile == DEAD
        assert dead.sum() == 5
        assert not constrained.network.branch_weight[dead].any()
        constrained.network.branch_weight[step::3] = 0.0
        assert constrained.step().missing == 5


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_forget_touches_the_rows_alone(name):
    constrained = built(name)
    train(constrained)
    parameter = constrained.network.w_rec
    before = {
        key: value.clone()
        for key, value in constrained.optimiser.state[parameter].items()
        if isinstance(value, torch.Tensor)
    }
    weight = parameter.detach().clone()
    rows = torch.tensor([1, 3])
    forget(constrained.optimiser, parameter, rows)
    assert torch.equal(parameter, weight)
    others = [row for row in range(len(parameter)) if row not in (1, 3)]
    for key, old in before.items():
        new = constrained.optimiser.state[parameter][key]
        if old.shape == parameter.shape:
            assert not new[rows].any()
            assert torch.equal(new[others], old[others])
        else:
            assert torch.equal(new, old)


def test_forget_before_the_first_step_of_the_optimiser():
    constrained = built()
    forget(constrained.optimiser, constrained.network.w_rec, torch.tensor([0]))
    assert constrained.network.w_rec not in constrained.optimiser.state


@settings(deadline=None, max_examples=10)
@given(
    st.tuples(st.integers(2, 3), st.integers(2, 4)),
    st.integers(2, 5),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_excess_never_rises_above_zero_while_training(grid, s, near, far, seed):
    classes = mosaic(grid, s).hop_classes
    if s * (grid[0] * grid[1] - 1) < 5:
        return
    constrained = built(grid=grid, s=s, profile={1: near, max(classes): far}, seed=seed)
    assert constrained.excess().worst <= 0
    for step in range(3):
        train(constrained, 1, seed=step)
        report = constrained.step()
        assert constrained.excess().worst <= 0
        assert report.missing == 0
        assert constrained.network.recurrent.check() is None


def test_same_seed_same_wiring_and_another_seed_another():
    def rewired(seed):
        constrained = built(seed=seed)
        for step in range(3):
            train(constrained, seed=step)
            constrained.step()
        return wiring(constrained)

    assert all(np.array_equal(a, b) for a, b in zip(rewired(1), rewired(1), strict=True))
    assert not np.array_equal(rewired(1)[1], rewired(2)[1])


def test_a_restart_continues_as_if_never_stopped():
    unbroken, broken = built(), built()
    for constrained in (unbroken, broken):
        train(constrained)
        constrained.network.branch_weight[::2] = 0
        constrained.step()
    broken.restart(broken.steps, broken.rewiring.state.arrays())
    for constrained in (unbroken, broken):
        train(constrained, seed=1)
        constrained.network.branch_weight[1::2] = 0
        constrained.step()
    assert all(np.array_equal(a, b) for a, b in zip(wiring(unbroken), wiring(broken), strict=True))


def test_a_restart_over_budget_is_refused():
    constrained = built(profile={1: 0.25})
    constrained.budget = HopProfile.of(constrained.network.fabric, {1: 0.1}, constrained.budget.tile_of)
    with pytest.raises(BudgetError, match="hop class 1"):
        constrained.restart(0)


def test_profiles_of_nothing_and_of_everything():
    constrained = built(profile={})
    assert constrained.step().born.size == 0
    full = built(profile=dict.fromkeys(mosaic((2, 3), 4).hop_classes, 1.0))
    assert len(full.network.live_branches()) == 24 * 5
    full.network.branch_weight[:7] = 0
    report = full.step()
    assert report.born.size >= 7
    assert len(full.network.live_branches()) == 24 * 5
