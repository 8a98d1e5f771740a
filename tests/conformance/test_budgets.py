"""What every kind of budget promises, over random fabrics: both families, any shape, unequal capacities, blocked ports, both routers."""

from __future__ import annotations

from itertools import pairwise

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
from tilewire.mapping.budget import Bulk
from tilewire.mapping.budgets import BUDGETS, build_budget, build_placed, trees_of
from tilewire.mapping.check import check_mapping
from tilewire.mapping.memory_budget import DeviceMemory, NegotiatedMemoryState
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.placed_budget import tile_of_groups
from tilewire.mapping.smallest_chip import SmallestChip
from tilewire.mapping.split_budget import MovableProfileState, parts_of
from tilewire.mapping.trees import loads
from tilewire.rewire.engine import Rewiring, live_branches
from tilewire.rewire.learned_split import moved, prices_in, split_parts, surplus
from tilewire.rewire.permute import OBJECTIVES, TilePermutation

ROUTERS = ("one-turn", "negotiated")
# Each kind, and combinations; "split" moves its quotas at every step, "placed" moves its tiles.
CASES = (*sorted(BUDGETS), "memory-profile", "memory-ports", "fan-memory", "split", "placed-ports", "placed-split")
LARGEST_S = 5


def random_fabric(rng: np.random.Generator) -> TileFabric:
    """Any shape of at least two tiles; widths differ from link to link, some ports are blocked."""
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(2, 5))
    family = (mosaic, mesh)[int(rng.integers(2))]
    fabric = family(
        (rows, columns),
        int(rng.integers(1, LARGEST_S + 1)),
        router=int(rng.integers(0, 5)),
        tile_in=int(rng.integers(1, 6)),
    )
    width = fabric.port_width.copy()
    narrow, blocked = rng.random(width.shape) < 0.2, rng.random(width.shape) < 0.03
    width[narrow] = np.maximum(width[narrow] - 1, 0)
    width[blocked] = 0
    object.__setattr__(fabric, "port_width", width)
    return fabric


def groups_of(fabric: TileFabric) -> np.ndarray:
    return (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)


def build(case: str, router: str, fabric: TileFabric, rng: np.random.Generator):
    """The budget of a case with random limits."""
    profile = {d: float(rng.random()) for d in fabric.hop_classes if rng.random() < 0.8}
    sized = ("chip", "sized")[int(rng.integers(2))]
    floor = SmallestChip(fabric, sized == "sized").floor()
    memory = {"kind": "memory", "devices": int(floor * (1 + rng.exponential(0.7))), "tile_out": sized}
    fan = {"kind": "fan", "fan_in": int(rng.integers(0, 6)), "fan_out": 2}
    options = {"router": router, "profile": profile, "branches": int(rng.integers(1, 40))} | fan
    parts = {
        "memory": {**memory, "profile": {}},
        "memory-profile": memory,
        "memory-ports": memory if router == "negotiated" else {"all": [memory | {"profile": {}}, {"kind": "ports"}]},
        "fan-memory": {"all": [fan, {**memory, "profile": profile}]},
        "split": memory | {"profile": profile or {min(fabric.hop_classes): 0.5}, "movable": True},
        "placed-ports": {},
        "all-of": {"all": [{"kind": "ports"}, fan, {"kind": "hop-profile", "profile": profile}]},
    }
    parts["placed-split"] = parts["split"]
    options |= parts.get(case, {})
    kinds = {
        "memory-ports": "memory" if router == "negotiated" else "all-of",
        "fan-memory": "all-of",
        "placed-ports": "ports",
    }
    kind = kinds.get(case, "memory" if "split" in case or case == "memory-profile" else case)
    return (build_placed if case.startswith("placed") else build_budget)(kind, fabric, groups_of(fabric), options)


class Walk:
    """A network under a budget that is rewired, its quotas and tiles moved, at random; everything promised is checked at every step."""

    def __init__(self, case: str, router: str, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.case, self.router, self.fabric = case, router, random_fabric(self.rng)
        self.budget = build(case, router, self.fabric, self.rng)
        slots, s = self.budget.branches(), self.fabric.neurons_per_tile
        self.table = Blocks(np.zeros(slots), np.full(slots, DEAD), self.fabric.n_neurons, self.fabric.n_tiles, s)
        self.weight, self.moments = np.zeros((slots, s), np.float32), np.zeros((slots, s), np.float32)
        self.share = 0.3
        self.rewiring = Rewiring(self.table, self.budget, self._drop, self._born)
        self.rewiring.grow(self.weight, self.rng, self.rng)
        self.check()

    def _drop(self, weight: np.ndarray) -> np.ndarray:
        dies = self.rng.random(len(weight)) < self.share
        for quotas in self._quotas():
            norm = np.where(dies, 0.0, np.linalg.norm(weight, axis=1))
            dies[surplus(quotas, self.table, self.tile_of_group, norm)] = True
        return dies

    def _born(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(0.1, 1, shape).astype(np.float32)

    def _quotas(self) -> list[MovableProfileState]:
        return [part for part in parts_of(self.rewiring.state) if isinstance(part, MovableProfileState)]

    @property
    def tile_of_group(self) -> np.ndarray:
        return tile_of_groups(self.rewiring.state, self.fabric.n_tiles)

    def step(self) -> None:
        """Repack, move quotas (which may leave excess until the rewiring), rewire, forget what was rewired, move tiles."""
        state = self.rewiring.state
        for part in parts_of(state):
            if isinstance(part, NegotiatedMemoryState) and self.rng.random() < 0.2:
                devices = part.devices
                assert part.repack(self.rng) == devices - part.devices >= 0
                self.check()
        for quotas in self._quotas():
            quotas.gain = self.rng.lognormal(0, 2, quotas.classes.size)
            memory = split_parts(state)[1]
            profile = moved(quotas, prices_in(state), memory.budget.devices - memory.devices, 0.5)
            assert np.all((profile >= 0) & (profile <= 1))
            quotas.move(profile)
        before = int((self.table.tile != DEAD).sum())
        done = self.rewiring.step(self.weight, self.rng, self.rng)
        changed = np.union1d(done.killed, done.born)
        self.moments[changed] = 0
        live = self.table.tile != DEAD
        assert int(live.sum()) == before - done.killed.size + done.born.size
        assert done.missing == int((~live).sum()), "what is not met is reported"
        self.check()
        assert not self.moments[changed].any()
        assert not self.weight[~live].any()
        self.moments[live] += self.weight[live]
        if self.case.startswith("placed") and self.rng.random() < 0.4:
            self.permute()

    def permute(self) -> None:
        objective = list(OBJECTIVES)[int(self.rng.integers(len(OBJECTIVES)))]
        stays = int(self.rng.integers(self.fabric.n_tiles))
        permutation = TilePermutation(objective, (stays,), tries=3)
        live, before = live_branches(self.table), self.rewiring.state
        home = before.tile_of_group[stays]
        after = permutation.improve(self.fabric, self.budget, before, live, self.rng)
        assert after.tile_of_group[stays] == home
        if after is not before:
            assert permutation._measure(self.fabric, after, live) < permutation._measure(self.fabric, before, live)
        self.rewiring.state = after
        self.check()

    def check(self) -> None:
        """No excess, no repeats, and an independent check of trees, loads, quotas and devices."""
        state, fabric, group = self.rewiring.state, self.fabric, groups_of(self.fabric)
        assert state.excess().worst <= 0
        live, placement = live_branches(self.table), self.tile_of_group[group]
        assert len(live) == int((self.table.tile != DEAD).sum()), "no branch twice"
        assert not np.any(group[live.source] == live.target), "no branch into the own tile"
        if self.case in ("hop-profile", "fan", "branches"):
            return
        grown = trees_of(state)
        on_tiles = Connectivity.of(live.source, self.tile_of_group[live.target], live.n_sources, live.n_targets)
        trees = grown or route_one_turn(fabric, on_tiles, placement)
        check = check_mapping(fabric, live, group, placement, trees.ptr, trees.link, merging=grown is None)
        assert check.fits, check.faults[:3]
        for part in parts_of(state):
            if isinstance(getattr(part, "budget", None), DeviceMemory):
                sized = part.budget.tile_out_sized
                need = fabric.memory(fabric.widths_for(check.load, tile_out_sized=sized)).total
                assert need <= part.budget.devices
                assert need == part.devices

    def fingerprint(self) -> tuple[bytes, ...]:
        arrays = self.rewiring.state.arrays()
        return (
            self.table.source.tobytes(), self.table.tile.tobytes(), self.weight.tobytes(), self.tile_of_group.tobytes(),
            *(arrays[name].tobytes() for name in sorted(arrays)),
        )  # fmt: skip


def walked(case: str, router: str, seed: int, steps: int) -> Walk:
    walk = Walk(case, router, seed)
    for _ in range(steps):
        walk.step()
    return walk


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("case", CASES)
@settings(deadline=None, max_examples=4)
@given(seed=st.integers(0, 1 << 30))
def test_budgets_hold_after_every_step(case: str, router: str, seed: int) -> None:
    walked(case, router, seed, 8)


@pytest.mark.slow
@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("case", CASES)
def test_budgets_hold_over_a_thousand_steps(case: str, router: str) -> None:
    for seed in range(5):
        walked(case, router, 1000 + seed, 200)


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("case", ["memory", "split", "placed-ports"])
def test_same_seed_same_network(case: str, router: str) -> None:
    assert walked(case, router, 5, 6).fingerprint() == walked(case, router, 5, 6).fingerprint()


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("case", CASES)
def test_a_state_started_from_what_it_saved_is_the_same_state(case: str, router: str) -> None:
    walk = walked(case, router, 11, 5)
    state, live = walk.rewiring.state, live_branches(walk.table)
    saved = {name: value.copy() for name, value in state.arrays().items()}
    again = walk.budget.start(live, saved)
    assert np.array_equal(again.excess().use, state.excess().use)
    assert np.array_equal(again.excess().capacity, state.excess().capacity)
    filled = [one.fill(live, 7, np.random.default_rng(3)) for one in (state, again)]
    assert filled[0] == filled[1]


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("case", CASES)
@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 1 << 30))
def test_one_by_one_and_in_bulk_are_the_same(case: str, router: str, seed: int) -> None:
    """What `admits` admits never exceeds; adding and removing is undone exactly; `remove_all` is many `remove`."""
    rng = np.random.default_rng(seed)
    fabric = random_fabric(rng)
    budget, group = build(case, router, fabric, rng), groups_of(fabric)
    nothing = Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles)
    state, added = budget.start(nothing), []
    start = state.excess().use
    for _ in range(60):
        source, tile = int(rng.integers(fabric.n_neurons)), int(rng.integers(fabric.n_tiles))
        if group[source] != tile and (source, tile) not in added and state.admits(source, tile):
            state.add(source, tile)
            added.append((source, tile))
            assert state.excess().worst <= 0
    sources, tiles = (np.array([pair[k] for pair in added], np.int32) for k in (0, 1))
    if isinstance(state, Bulk):
        state.remove_all(sources, tiles)
    else:
        for source, tile in added:
            state.remove(source, tile)
    assert np.array_equal(state.excess().use, start)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1 << 30), sized=st.booleans())
def test_memory_fills_until_nothing_more_is_admitted(seed: int, sized: bool) -> None:
    """Under fixed paths a fill is exhaustive: afterwards every absent branch is refused by plain arithmetic."""
    rng = np.random.default_rng(seed)
    fabric = random_fabric(rng)
    chip, group = SmallestChip(fabric, sized), groups_of(fabric)
    budget = DeviceMemory(fabric, group, int(chip.floor() * rng.uniform(1, 3)), sized)
    state = budget.start(nothing := Connectivity.of([], [], fabric.n_neurons, fabric.n_tiles))
    added = state.fill(nothing, fabric.n_neurons * fabric.n_tiles, rng)
    have = set(zip(added.source.tolist(), added.target.tolist(), strict=True))
    for source in range(fabric.n_neurons):
        for tile in range(fabric.n_tiles):
            if group[source] == tile or (source, tile) in have:
                continue
            more = [*have, (source, tile)]
            wired = Connectivity.of([i for i, _ in more], [t for _, t in more], fabric.n_neurons, fabric.n_tiles)
            load = loads(fabric, route_one_turn(fabric, wired, group))
            need = fabric.memory(fabric.widths_for(load, tile_out_sized=sized)).total
            refused = need > budget.devices or bool((load > fabric.capacity).any())
            assert refused
            assert not state.admits(source, tile)


def test_two_forests_under_one_budget_are_refused() -> None:
    fabric = mosaic((2, 2), 2)
    parts = [{"kind": "ports"}, {"kind": "memory", "devices": 10_000}]
    with pytest.raises(BudgetError, match="trees of their own"):
        build_budget("all-of", fabric, groups_of(fabric), {"all": parts, "router": "negotiated"})


def test_a_memory_limit_below_the_floor_is_refused() -> None:
    fabric = mosaic((2, 2), 4)
    floor = SmallestChip(fabric, False).floor()
    assert build_budget("memory", fabric, groups_of(fabric), {"devices": floor}).branches() == 0
    with pytest.raises(BudgetError, match=f"below {floor}"):
        build_budget("memory", fabric, groups_of(fabric), {"devices": floor - 1})
    with pytest.raises(BudgetError, match="needs a limit"):
        build_budget("memory", fabric, groups_of(fabric), {})


def test_moves_that_lower_no_quota_kill_nothing() -> None:
    walk = walked("split", "negotiated", 2, 4)
    (quotas,) = walk._quotas()
    norm = np.linalg.norm(walk.weight, axis=1)
    assert surplus(quotas, walk.table, walk.tile_of_group, norm).size == 0
    sizes = [int(surplus(quotas, walk.table, walk.tile_of_group, norm).size)]
    for share in (0.5, 0.25, 0.0):
        quotas.move(quotas.profile * share)
        sizes.append(int(surplus(quotas, walk.table, walk.tile_of_group, norm).size))
    assert all(a <= b for a, b in pairwise(sizes))
    assert sizes[-1] == int((walk.table.tile != DEAD).sum())
