"""The learned split: gains exact, prices sensible, quotas move towards gain per device inside the limit, and training holds it all."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.config import hardware_of, load_recipe
from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif
from tilewire.mapping.budgets import build_budget
from tilewire.mapping.routing import load_mapping
from tilewire.mapping.smallest_chip import SmallestChip
from tilewire.mapping.split_budget import branch_prices, links_per_branch
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.constrained import Constrained
from tilewire.rewire.drop import BranchThreshold
from tilewire.rewire.learned_split import LearnedSplit, moved, prices_in, split_parts
from tilewire.run import Interrupted, execute

LAW = AboveThreshold(0.3, 0.5)


def state_of(fabric, profile, factor=3.0, router="negotiated", seed=0):
    """A filled memory budget with movable quotas."""
    group = (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)
    devices = int(SmallestChip(fabric, True).floor() * factor)
    options = {"devices": devices, "tile_out": "sized", "profile": profile, "movable": True, "router": router}
    budget = build_budget("memory", fabric, group, options)
    nothing = Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles)
    state = budget.start(nothing)
    state.fill(nothing, budget.branches(), np.random.default_rng(seed))
    return budget, state


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([mosaic, mesh]), st.tuples(st.integers(2, 4), st.integers(2, 4)), st.integers(2, 8),
    st.floats(1.1, 5), st.floats(0.05, 1), st.integers(0, 1 << 30),
)  # fmt: skip
def test_a_move_keeps_to_its_step_its_bounds_and_its_means(family, grid, size, factor, step, seed):
    rng = np.random.default_rng(seed)
    fabric = family(grid, size)
    _, state = state_of(fabric, {d: float(rng.uniform(0.05, 1)) for d in fabric.hop_classes}, factor, seed=seed)
    quotas, memory = split_parts(state)
    quotas.gain = rng.lognormal(0, 3, quotas.classes.size)
    prices, slack = prices_in(state), memory.budget.devices - memory.devices
    assert (prices > 0).all()
    after = moved(quotas, prices, slack, step)
    most = np.array([(fabric.hop_distance == d).sum(axis=1).max() for d in quotas.classes])
    least = 1 / (size * most)
    assert (after >= least * (1 - 1e-9)).all()
    assert (after <= 1).all()
    floor = float(prices @ (quotas.places * least))
    spend = float(prices @ quotas.live) + slack
    assert float(prices @ (quotas.places * after)) <= max(spend, floor) * (1 + 1e-6)
    held = np.maximum(
        quotas.profile * np.divide(quotas.live, quotas.capacity.sum(axis=0)[quotas.column].clip(1)), least
    )
    inner = (after > least * 1.001) & (after < 0.999) & (quotas.capacity.sum(axis=0)[quotas.column] > 0)
    factors = (after / held)[inner]
    if factors.size:  # relative to each other, no class moves further than the step allows
        assert factors.max() / factors.min() <= (1 + step) ** 2 * (1 + 1e-6)


def test_equal_gain_per_device_is_a_rest_point():
    _, state = state_of(mosaic((3, 3), 8), {1: 0.5, 3: 0.25, 5: 0.125}, factor=50.0)
    quotas, _ = split_parts(state)
    assert np.array_equal(quotas.live, quotas.profile * quotas.places)  # nothing refused
    prices = prices_in(state)
    quotas.gain = 7.0 * prices
    after = moved(quotas, prices, 0, 0.3)
    assert after / after[0] == pytest.approx(quotas.profile / quotas.profile[0], rel=1e-6)
    quotas.gain = prices * np.array([1.0, 1.0, 9.0])  # one class earns more: it alone grows
    after = moved(quotas, prices, 0, 0.3)
    assert after[2] > quotas.profile[2]
    assert (after[:2] < quotas.profile[:2]).all()


def test_free_devices_are_spent():
    _, state = state_of(mosaic((3, 3), 8), {1: 0.1, 3: 0.05}, factor=6.0)
    quotas, memory = split_parts(state)
    quotas.gain = np.ones(2)
    slack = memory.budget.devices - memory.devices
    assert slack > memory.budget.devices // 4
    assert moved(quotas, prices_in(state), slack, 0.2).sum() > 1.5 * quotas.profile.sum()


def test_prices_follow_the_wires():
    """Links per branch of a class by hand; farther branches cost more; unused widths cost their first row of ports."""
    fabric = mosaic((1, 3), 4)
    chip = SmallestChip(fabric, True)
    links = links_per_branch(chip, np.array([1, 5]))
    router, into, out = (links[:, chip.link_class == kind].sum(axis=1) for kind in (0, 1, 2))
    assert router.tolist() == [0, 4]  # side neighbours share a router; the far tile is five routers, four links, away
    assert into.tolist() == out.tolist() == [1, 1]
    idle = branch_prices(chip, np.zeros(fabric.n_links, np.int32), links)
    zero = chip.marginal(np.zeros(chip.n_classes, np.int32)) / chip.links
    assert idle == pytest.approx(links @ zero)
    assert idle[1] > idle[0]
    big = mosaic((5, 5), 8)
    _, state = state_of(big, {1: 0.3, 3: 0.1, 5: 0.05, 7: 0.03})
    assert (np.diff(prices_in(state)) > 0).all()


@pytest.mark.parametrize("pool", [3, 10_000])
def test_gains_are_means_of_what_the_score_gives(pool):
    fabric = mosaic((2, 3), 4)
    _, state = state_of(fabric, {1: 0.5, 3: 0.5, 5: 0.5})
    quotas, _ = split_parts(state)
    group_on_tile = np.random.default_rng(0).permutation(6)
    value = np.random.default_rng(1).random((fabric.n_neurons, 6))
    seen = []

    def score(asked):
        seen.append(asked)
        return value[asked.source, asked.target]

    found = LearnedSplit(pool=pool)._measured(quotas, score, np.random.default_rng(2), group_on_tile)
    distance = fabric.hop_distance[np.arange(fabric.n_neurons) // 4]
    for d, gain in zip((1, 3, 5), found, strict=True):
        asked = set(zip(seen[0].source.tolist(), seen[0].target.tolist(), strict=True))
        own = [(i, t) for i in range(24) for t in range(6) if distance[i, t] == d and (i, group_on_tile[t]) in asked]
        assert len(own) == min(pool, int((distance == d).sum()))
        assert gain == pytest.approx(np.mean([value[i, group_on_tile[t]] for i, t in own]))


def test_training_under_a_learned_split():
    """The wanted class grows, excess stays at or below 0, what was rewired has no moments, the same seed gives the same split."""

    def trained():
        fabric = mosaic((3, 3), 4)
        budget, _ = state_of(fabric, {1: 0.5, 3: 0.3, 5: 0.1}, factor=14.0)
        net = TiledRSNN(fabric, TiledSpec(4, 2), Lif(0.9), budget.branches(), LAW, np.random.default_rng(0))
        net.tier = "reference"
        optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
        constrained = Constrained(net, optimiser, budget, BranchThreshold(0.3, 0.5), LAW, 3, LearnedSplit(0.3, 20))
        far = fabric.hop_distance[np.arange(36) // 4]
        shares = []
        for step in range(6):
            x = np.random.default_rng(step).random((4, 8, 4)) < 0.6
            counts, trains = net(SpikeEvents.from_dense(x.astype(np.uint8)))
            optimiser.zero_grad()
            (counts.sum() - 3 * trains.sum()).backward()
            optimiser.step()
            done = constrained.step(score=lambda asked: 1.0 + 9.0 * (far[asked.source, asked.target] == 5))
            assert constrained.excess().worst <= 0
            changed = np.union1d(done.killed, done.born) + net.n_local
            for moment in optimiser.state[net.w_rec].values():
                if moment.shape == net.w_rec.shape:
                    assert not moment[changed].any()
            live = split_parts(constrained.rewiring.state)[0].live
            shares.append(float(live[2] / live.sum()))
        return shares, net.w_rec.detach().numpy().copy()

    (shares, weight), (_, again) = trained(), trained()
    assert shares[-1] > 1.3 * shares[0]
    assert np.array_equal(weight, again)


def test_the_split_needs_something_to_split():
    fabric = mosaic((2, 2), 4)
    group = np.arange(16) // 4
    state = build_budget("memory", fabric, group, {"devices": 10_000}).start(Connectivity.of([], [], 16, 4))
    with pytest.raises(BudgetError, match="moves the profile of a memory budget"):
        split_parts(state)
    for wrong in ({"step": 0.0}, {"memory": 1.0}, {"pool": 0}):
        with pytest.raises(UsageError, match="split:"):
            LearnedSplit(**wrong)


@pytest.mark.parametrize("router", ["one-turn", "negotiated"])
def test_recipes_split_and_permute_and_continue(router, toy_recipe, tmp_path, stop_after):
    """Interrupted between two moves, a run ends in the same bytes; the mapping it writes is the placed one and fits."""
    rewire = {"threshold": 0.3, "min_live": 0.75, "alpha": 0.4, "split": {"pool": 10, "until": 0.7}}
    rewire["permute"] = {"every": 1, "fixed": ["inputs"], "objective": "devices", "tries": 6}
    budget = {"kind": "memory", "devices": 2500, "tile_out": "sized", "profile": {1: 0.4, 3: 0.3, 5: 0.3}}
    recipe = load_recipe(str(toy_recipe(router=router, budget=budget, rewire=rewire)))
    whole = execute(recipe, tmp_path / "whole")
    with pytest.raises(Interrupted):
        execute(recipe, tmp_path / "parts", stop_after(7))
    parts = execute(recipe, tmp_path / "parts")
    assert parts["training"] == whole["training"]
    assert (tmp_path / "parts" / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()
    records = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert all(record["excess"] <= 0 for record in records)
    assert set(records[-1]["split"]) == {"density", "gain", "price"}
    fabric = hardware_of(recipe)
    mapping, nets = load_mapping(tmp_path / "whole" / "mapping.npz", fabric)
    assert whole["verdict"] == mapping.verdict == "fits"
    if any(record["moved"] for record in records):
        assert not np.array_equal(mapping.placement, nets.group)
    load = mapping.load
    assert fabric.memory(fabric.widths_for(load, tile_out_sized=True)).total <= 2500
    assert whole["network"]["input_tiles"] == [0, 1]


def test_a_recipe_with_nothing_to_split_is_refused_at_once(toy_recipe):
    from tilewire.parts import build

    with pytest.raises(BudgetError, match="moves the profile of a memory budget"):
        build(load_recipe(str(toy_recipe(rewire={"split": {}}))))
