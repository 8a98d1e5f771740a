"""Every kind of budget, on random fabrics of both families: excess <= 0 after every step, trees that the independent check accepts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.fabric import TileFabric
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.mapping.budget import fill_by_rejection
from tilewire.mapping.budgets import BUDGETS, build_budget, trees_of
from tilewire.mapping.check import check_mapping
from tilewire.mapping.forest import Forest
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.port_budget import entries
from tilewire.mapping.smallest_chip import SmallestChip
from tilewire.mapping.trees import loads
from tilewire.nn.initialise import AboveThreshold
from tilewire.rewire.engine import Rewiring, live_branches

FAMILIES = {"mosaic": mosaic, "mesh": mesh}


def random_fabric(seed: int) -> TileFabric:
    """Any shape, widths that differ from link to link."""
    rng = np.random.default_rng(seed)
    grid = (int(rng.integers(1, 4)), int(rng.integers(2, 5)))
    s = int(rng.integers(1, 6))
    family = FAMILIES[str(rng.choice(list(FAMILIES)))]
    fabric = family(grid, s, router=int(rng.integers(0, 5)), tile_in=int(rng.integers(0, 6)))
    width = fabric.port_width.copy()
    narrow = rng.random(width.shape) < 0.2
    width[narrow] = np.maximum(width[narrow] - 1, 0)
    object.__setattr__(fabric, "port_width", width)
    return fabric


def options(kind: str, fabric: TileFabric, rng: np.random.Generator) -> dict[str, object]:
    profile = {d: float(rng.random()) for d in fabric.hop_classes}
    if kind == "all-of":
        parts = [{"kind": "ports"}, {"kind": "fan", "fan_in": 3}, {"kind": "hop-profile", "profile": profile}]
        return {"all": parts, "router": str(rng.choice(["one-turn", "negotiated"]))}
    if kind == "memory":
        floor = SmallestChip(fabric, True).floor()
        return {"devices": int(floor * rng.uniform(1, 4)), "tile_out": "sized"}
    return {"profile": profile, "fan_in": int(rng.integers(0, 6)), "fan_out": 2}


def assert_holds(fabric: TileFabric, kind: str, router: str, rewiring: Rewiring, tile_of: np.ndarray) -> None:
    assert rewiring.state.excess().worst <= 0
    live = live_branches(rewiring.table)
    assert len(live) == int((rewiring.table.tile != DEAD).sum()), "no branch twice"
    assert not np.any(tile_of[live.source] == live.target), "no branch into the own tile"
    if kind not in ("ports", "all-of", "memory"):
        return
    grown = trees_of(rewiring.state)
    trees = grown or route_one_turn(fabric, live, tile_of)
    check = check_mapping(fabric, live, tile_of, tile_of, trees.ptr, trees.link, merging=grown is None)
    assert check.fits, check.faults[:3]
    assert np.array_equal(check.load, loads(fabric, trees))


@pytest.mark.parametrize("router", ["one-turn", "negotiated"])
@pytest.mark.parametrize("kind", sorted(BUDGETS))
@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10_000))
def test_budget_holds_after_every_step(kind: str, router: str, seed: int) -> None:
    fabric = random_fabric(seed)
    rng = np.random.default_rng(seed)
    tile_of = (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)
    budget = build_budget(kind, fabric, tile_of, {"router": router} | options(kind, fabric, rng))
    slots = budget.branches()
    table = Blocks(np.zeros(slots), np.full(slots, DEAD), fabric.n_neurons, fabric.n_tiles, fabric.neurons_per_tile)
    rewiring = Rewiring(table, budget, lambda weight: rng.random(len(weight)) < 0.3, AboveThreshold(0.1))
    weight = np.zeros((slots, fabric.neurons_per_tile), np.float32)
    rewiring.grow(weight, rng, rng)
    assert_holds(fabric, kind, router, rewiring, tile_of)
    for _ in range(10):
        before = int((table.tile != DEAD).sum())
        done = rewiring.step(weight, rng, rng)
        assert int((table.tile != DEAD).sum()) == before - done.killed.size + done.born.size
        assert np.all(weight[table.tile == DEAD] == 0)
        assert_holds(fabric, kind, router, rewiring, tile_of)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_forest_never_overloads_and_forgets_nothing(seed: int) -> None:
    fabric = random_fabric(seed)
    rng = np.random.default_rng(seed + 1)
    tile_of = (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)
    forest = Forest(fabric, tile_of)
    wired: set[tuple[int, int]] = set()
    for _ in range(120):
        neuron, tile = int(rng.integers(fabric.n_neurons)), int(rng.integers(fabric.n_tiles))
        if tile_of[neuron] == tile:
            continue
        if (neuron, tile) in wired:
            assert forest.remove(neuron, tile)
            wired.discard((neuron, tile))
        else:
            reachable = forest.reaches(neuron, tile)
            assert forest.add(neuron, tile) == reachable
            if reachable:
                wired.add((neuron, tile))
        assert np.all(forest.load <= fabric.capacity)
    expected = Connectivity.of([n for n, _ in wired], [t for _, t in wired], fabric.n_neurons, fabric.n_tiles)
    assert forest.branches() == expected
    copy = Forest(fabric, tile_of)
    copy.plant(forest.trees())
    assert np.array_equal(copy.load, forest.load)
    for neuron, tile in wired:
        assert forest.remove(neuron, tile)
        assert copy.remove(neuron, tile)
    assert not forest.load.any()
    assert not copy.load.any()
    assert not forest.remove(0, fabric.n_tiles - 1)


def test_saved_trees_must_serve_the_branches() -> None:
    fabric = mosaic((2, 2), 2)
    tile_of = (np.arange(8) // 2).astype(np.int32)
    budget = build_budget("ports", fabric, tile_of, {"router": "negotiated"})
    state = budget.start(Connectivity.of([0], [1], 8, 4))
    arrays = state.arrays()
    assert budget.start(Connectivity.of([0], [1], 8, 4), arrays).excess().fits
    with pytest.raises(BudgetError, match="do not serve"):
        budget.start(Connectivity.of([0], [2], 8, 4), arrays)


def test_entries_bound_what_tiles_can_take() -> None:
    fabric = mosaic((2, 2), 4, router=8, tile_in={"north": 1, "east": 2, "south": 0, "west": 1})
    tile_of = (np.arange(16) // 4).astype(np.int32)
    assert entries(fabric, tile_of) == 4 * 4
    narrow = build_budget("ports", fabric, tile_of, {"router": "negotiated", "branches": 5})
    assert narrow.branches() == 5


def test_full_ports_are_named() -> None:
    fabric = mosaic((1, 2), 2, router=0, tile_in=1)
    tile_of = np.array([0, 0, 1, 1], np.int32)
    state = build_budget("ports", fabric, tile_of, {"router": "negotiated"}).start(Connectivity.of([0], [1], 4, 2))
    assert not state.admits(1, 1)
    with pytest.raises(BudgetError, match="no free path"):
        state.add(1, 1)
    excess = state.excess()
    full = int(np.flatnonzero(excess.excess == 0)[0])
    assert "tile" in excess.name(full) or "router" in excess.name(full)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1.2))
def test_bulk_refill_of_one_turn_ports_equals_the_slow_one(seed: int, share: float) -> None:
    fabric = random_fabric(seed)
    rng = np.random.default_rng(seed)
    tile_of = np.repeat(rng.permutation(fabric.n_tiles), fabric.neurons_per_tile).astype(np.int32)
    budget = build_budget("ports", fabric, tile_of, {"router": "one-turn"})
    nothing = Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles)
    wanted = round(share * budget.branches())
    fast, slow = budget.start(nothing), budget.start(nothing)
    ours, theirs = np.random.default_rng(seed), np.random.default_rng(seed)
    linked = nothing
    for _ in range(3):
        got = fast.fill(linked, wanted, ours)
        assert got == fill_by_rejection(slow, linked, wanted, theirs, tile_of)
        assert ours.bit_generator.state == theirs.bit_generator.state
        assert np.array_equal(fast.excess().use, slow.excess().use)
        every = np.concatenate([linked.source, got.source]), np.concatenate([linked.target, got.target])
        keep = rng.random(every[0].size) < 0.7
        for source, tile in zip(*(side[~keep].tolist() for side in every), strict=True):
            fast.remove(source, tile)
            slow.remove(source, tile)
        linked = Connectivity.of(*(side[keep] for side in every), fabric.n_neurons, fabric.n_tiles)
