"""W3: one rewiring step of a 23 x 23 Mosaic of 32 neurons: 16,928 neurons, about 89,000 branches, a tenth of them dies and is regrown.

A branch dies with fewer than 8 live weights of 32; branches regrow under quotas per source tile and hop class, which must be met exactly.
The reference says the same as plain Python loops over tiles, classes and pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.bench.contest import Contest, Contestant
from tilewire.hardware.fabric import TileFabric
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.mapping.budget import HopProfile
from tilewire.nn.initialise import AboveThreshold
from tilewire.rewire.drop import BranchThreshold
from tilewire.rewire.engine import Rewiring

GRID, SIZE, BRANCHES, DYING = (23, 23), 32, 89_234, 0.1016
THRESHOLD, MIN_LIVE = 0.1, 0.25


@dataclass(frozen=True, eq=False)
class Wired:
    """A chip whose quotas are full: the budget, the table of branches and their weights [P, S]."""

    budget: HopProfile
    table: Blocks
    weight: NDArray[np.float32]

    @property
    def fabric(self) -> TileFabric:
        """The chip."""
        return self.budget.fabric


def contests() -> list[Contest]:
    """The engine against the plain loops."""
    case = lru_cache(maxsize=1)(lambda: wire(GRID, SIZE, BRANCHES))
    return [contest(case)]


def contest(case: Callable[[], Wired]) -> Contest:
    """The step on any wired chip."""
    table = {"python-loops": lambda: _loops(case()), "tilewire": lambda: _engine(case())}
    return Contest(
        "W3 rewiring step", table, frozenset({"tilewire"}), ("python-loops", "tilewire"), tolerance=0.0, rounds=40
    )


def wire(grid: tuple[int, int], size: int, branches: int) -> Wired:
    """Densities fall with 1 / d^1.35 over the hop classes d; scaled so that the quotas hold about so many branches."""
    fabric = mosaic(grid, size)
    tile_of = np.repeat(np.arange(fabric.n_tiles, dtype=np.int32), size)
    pairs = sum(count * size / d**1.35 for d, count in fabric.hop_classes.items())
    budget = HopProfile.of(fabric, {d: min(1.0, branches / pairs / d**1.35) for d in fabric.hop_classes}, tile_of)
    slots = budget.branches()
    dead = np.full(slots, DEAD, np.int32)
    table = Blocks(np.zeros(slots, np.int32), dead, fabric.n_neurons, fabric.n_tiles, size)
    weight = np.zeros((slots, size), np.float32)
    rewiring = Rewiring(table, budget, BranchThreshold(THRESHOLD, MIN_LIVE), AboveThreshold(THRESHOLD))
    rewiring.grow(weight, np.random.default_rng(0), np.random.default_rng(1))
    return Wired(budget, table, weight)


def _copy(wired: Wired) -> Wired:
    old = wired.table
    table = Blocks(old.source.copy(), old.tile.copy(), old.n_sources, old.n_tiles, old.tile_size)
    return Wired(wired.budget, table, wired.weight.copy())


def _weaken(wired: Wired, rng: np.random.Generator) -> None:
    """Before a step: a share of the branches falls below the threshold."""
    wired.weight[rng.random(len(wired.weight)) < DYING] *= 1e-3


def _outcome(wired: Wired, killed: list[int]) -> list[NDArray[Any]]:
    """How many died first, and the branches per source tile and distance, counted anew."""
    table, fabric = wired.table, wired.fabric
    own = wired.budget.tile_of[table.source]
    use = np.zeros((fabric.n_tiles, int(fabric.hop_distance.max()) + 1))
    np.add.at(use, (own, fabric.hop_distance[own, table.tile]), 1)
    distinct = np.unique(table.source.astype(np.int64) * fabric.n_tiles + table.tile).size
    return [use, np.array([killed[0], distinct])]


def _engine(start: Wired) -> Contestant:
    wired, killed = _copy(start), list[int]()
    rewiring = Rewiring(wired.table, wired.budget, BranchThreshold(THRESHOLD, MIN_LIVE), AboveThreshold(THRESHOLD))
    dying, positions, weights = (np.random.default_rng(seed) for seed in (2, 3, 4))

    def step() -> None:
        killed.append(rewiring.step(wired.weight, positions, weights).killed.size)

    return Contestant(step, lambda: _outcome(wired, killed), lambda: _weaken(wired, dying))


def _loops(start: Wired) -> Contestant:
    wired, killed = _copy(start), list[int]()
    dying, positions, weights = (np.random.default_rng(seed) for seed in (2, 3, 4))

    def step() -> None:
        killed.append(rewire_slowly(wired, positions, weights))

    return Contestant(step, lambda: _outcome(wired, killed), lambda: _weaken(wired, dying))


def rewire_slowly(wired: Wired, positions: np.random.Generator, weights: np.random.Generator) -> int:
    """The step in plain Python; returns how many branches died."""
    table, fabric, size = wired.table, wired.fabric, wired.table.tile_size
    empty: list[int] = []
    linked: set[tuple[int, int]] = set()
    use: dict[tuple[int, int], int] = {}
    for slot, row in enumerate(wired.weight.tolist()):
        source, tile = int(table.source[slot]), int(table.tile[slot])
        if sum(abs(w) >= np.float32(THRESHOLD) for w in row) < MIN_LIVE * size:
            table.tile[slot] = DEAD
            empty.append(slot)
        else:
            linked.add((source, tile))
            key = (int(wired.budget.tile_of[source]), int(fabric.hop_distance[wired.budget.tile_of[source], tile]))
            use[key] = use.get(key, 0) + 1
    quota, killed = wired.budget.quota(), len(empty)
    for own in range(fabric.n_tiles):
        neurons = [int(i) for i in np.flatnonzero(wired.budget.tile_of == own)]
        distances = fabric.hop_distance[own].tolist()
        for column, d in enumerate(fabric.hop_classes):
            missing = int(quota[own, column]) - use.get((own, d), 0)
            reach = [tile for tile in range(fabric.n_tiles) if distances[tile] == d]
            free = [(i, tile) for i in neurons for tile in reach if (i, tile) not in linked]
            for k in positions.permutation(len(free))[:missing]:
                slot = empty.pop()
                table.source[slot], table.tile[slot] = free[k]
                for j in range(size):
                    g = weights.standard_normal()
                    wired.weight[slot, j] = (1 if g > 0 else -1) * THRESHOLD * (1 + 2 * abs(g))
    return killed
