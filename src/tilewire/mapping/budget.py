"""Budgets: the resources a connectivity may use. Proxy and exact constraint answer with the same record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.fabric import TileFabric

Ints = NDArray[np.int32]
MISSES = 64
"""Draws in a row that may be refused before every absent branch is tried in random order."""


@dataclass(frozen=True, eq=False)
class Excess:
    """Use against capacity per resource, int64 [resources]; ``use - capacity <= 0`` everywhere means it fits."""

    use: NDArray[np.int64]
    capacity: NDArray[np.int64]
    name: Callable[[int], str]

    @property
    def excess(self) -> NDArray[np.int64]:
        return self.use - self.capacity

    @property
    def worst(self) -> int:
        """Largest excess over all resources (negative: everywhere slack); 0 where there are no resources."""
        return int(self.excess.max()) if self.use.size else 0

    @property
    def fits(self) -> bool:
        return self.worst <= 0


class BudgetState(Protocol):
    """A connectivity and what it uses, updated branch by branch."""

    def admits(self, source: int, tile: int) -> bool:
        """Whether branch (source neuron, tile) may be added without excess."""

    def add(self, source: int, tile: int) -> None: ...

    def remove(self, source: int, tile: int) -> None: ...

    def excess(self) -> Excess: ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint must hold because the branches alone do not determine it."""

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        """Add up to ``wanted`` branches, each drawn uniformly among the admissible ones that ``linked`` lacks; return those added."""


@runtime_checkable
class Bulk(Protocol):
    """A budget state that can remove many branches at once."""

    def remove_all(self, source: Ints, tile: Ints) -> None: ...


@runtime_checkable
class Unsorted(Protocol):
    """A budget state that fills up beside branches in any order, which spares the sort of all that stay."""

    def fill_beside(self, source: Ints, tile: Ints, wanted: int, rng: np.random.Generator) -> Connectivity: ...


class Budget(Protocol):
    """A kind of constraint C on connectivity."""

    def start(self, branches: Connectivity, arrays: Mapping[str, NDArray[Any]] | None = None) -> BudgetState:
        """State of a connectivity; ``arrays`` are those that a checkpoint of it holds."""

    def branches(self) -> int:
        """Most branches that this budget can hold: the number of slots a network reserves."""


def parse_profile(profile: Mapping[int, float], fabric: TileFabric) -> dict[int, float]:
    """Check a profile P-hat = {d: p_d} against a chip. Raises `BudgetError` for densities outside 0..1 and hop classes it lacks."""
    known = fabric.hop_classes
    problems = [f"class {d} has density {p}, allowed 0 to 1" for d, p in profile.items() if not 0 <= p <= 1]
    problems += [f"the chip has no hop class {d}" for d in profile if d not in known]
    if problems:
        raise BudgetError(
            "profile: " + "; ".join(problems), hint=f"hop classes of this chip: {', '.join(map(str, known))}"
        )
    return {int(d): float(p) for d, p in sorted(profile.items())}


@dataclass(frozen=True, eq=False)
class HopProfile:
    """The papers' proxy: a quota of branches per source tile s and hop class d.

        q_sd = round(p_d * S * n_sd),   n_sd = number of tiles at distance d from s

    gamma_d = |theta_d|_1 is the sum of the use over s. A class that the profile does not name has quota 0. Branches into the own tile
    are not counted. Weber, Ballet, Payvand 2024, public code; departures: the farthest class is not skipped, quotas above what a
    chip offers are refused before training, and output tiles count like all others.
    """

    fabric: TileFabric
    profile: dict[int, float]
    tile_of: Ints

    @classmethod
    def of(cls, fabric: TileFabric, profile: Mapping[int, float], tile_of: Ints) -> HopProfile:
        return cls(fabric, parse_profile(profile, fabric), np.asarray(tile_of, np.int32))

    def quota(self) -> NDArray[np.int64]:
        """q_sd as int64 [tiles, classes], classes ascending as in ``fabric.hop_classes``."""
        distance, s = self.fabric.hop_distance, self.fabric.neurons_per_tile
        columns = [np.rint(self.profile.get(d, 0.0) * s * (distance == d).sum(axis=1)) for d in self.fabric.hop_classes]
        return np.stack(columns, axis=1).astype(np.int64) if columns else np.zeros((self.fabric.n_tiles, 0), np.int64)

    def branches(self) -> int:
        return int(self.quota().sum())

    def start(self, branches: Connectivity, arrays: Mapping[str, NDArray[Any]] | None = None) -> HopProfileState:
        return HopProfileState(self, branches)


class HopProfileState:
    """Use per (source tile, hop class) of a growing and shrinking connectivity."""

    def __init__(self, budget: HopProfile, branches: Connectivity) -> None:
        self.budget = budget
        self.capacity = budget.quota()
        fabric = budget.fabric
        classes = np.array(list(fabric.hop_classes), np.int64)
        self.class_of = np.where(fabric.hop_distance > 0, np.searchsorted(classes, fabric.hop_distance), -1).astype(
            np.int32
        )
        # the tiles that each tile reaches, grouped by class; its own tile, class -1, comes first
        self._reach = np.argsort(self.class_of, axis=1, kind="stable").astype(np.int32)
        inside = np.stack([(self.class_of < c).sum(axis=1) for c in range(classes.size + 1)], axis=1)
        self._reach_ptr = inside.astype(np.int64)
        self._neurons_of = np.argsort(budget.tile_of, kind="stable").reshape(fabric.n_tiles, -1)
        self.use = np.zeros_like(self.capacity)
        self._count(branches.source, branches.target, 1)

    def _count(self, source: Ints, tile: Ints, step: int) -> None:
        from tilewire.kernels.numba_rewire import count_branches

        count_branches(self.use, step, self.budget.tile_of, self.class_of, source, tile)

    def _resource(self, source: int, tile: int) -> tuple[int, int]:
        own = int(self.budget.tile_of[source])
        return own, int(self.class_of[own, tile])

    def admits(self, source: int, tile: int) -> bool:
        own, column = self._resource(source, tile)
        return column < 0 or bool(self.use[own, column] < self.capacity[own, column])

    def add(self, source: int, tile: int) -> None:
        own, column = self._resource(source, tile)
        if column >= 0:
            self.use[own, column] += 1

    def remove(self, source: int, tile: int) -> None:
        own, column = self._resource(source, tile)
        if column >= 0:
            self.use[own, column] -= 1

    def remove_all(self, source: Ints, tile: Ints) -> None:
        """Remove many branches at once, int32 [n] each."""
        self._count(source, tile, -1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: counts follow from the branches."""
        return {}

    def excess(self) -> Excess:
        classes = list(self.budget.fabric.hop_classes)

        def name(resource: int) -> str:
            tile, column = divmod(resource, len(classes))
            return f"{self.budget.fabric.tile_name(tile)}, hop class {classes[column]}"

        return Excess(self.use.ravel().copy(), self.capacity.ravel(), name)

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        """Per source tile and class: slots without replacement among the free (neuron, tile) pairs, so quotas are met exactly."""
        return self.fill_beside(linked.source, linked.target, wanted, rng)

    def fill_beside(self, source: Ints, tile: Ints, wanted: int, rng: np.random.Generator) -> Connectivity:
        """``fill`` beside a table of branches int32 [n] each, in any order; those with a negative tile do not exist."""
        from tilewire.kernels.numba_rewire import fill_quotas, sorted_branches

        slack = np.maximum(self.capacity - self.use, 0)
        new, target = fill_quotas(
            rng, slack, self._neurons_of, self._reach, self._reach_ptr, self.budget.tile_of, self.class_of, source, tile
        )  # fmt: skip
        if new.size > wanted:
            keep = rng.permutation(new.size)[:wanted]
            new, target = new[keep], target[keep]
        self._count(new, target, 1)
        n = self.budget.tile_of.size, self.budget.fabric.n_tiles
        return Connectivity(*n, *sorted_branches(new, target, *n))


def fill_by_rejection(
    state: BudgetState,
    linked: Connectivity,
    wanted: int,
    rng: np.random.Generator,
    tile_of: Ints,
    patience: int = MISSES,
) -> Connectivity:
    """Uniform draws among admissible branches for any budget: draw any absent branch, keep it if the budget admits it.

    Stops after ``wanted`` branches, or after a full pass in random order over all absent branches once draws stop being admitted
    ``patience`` times in a row; so a shortfall means that no admissible branch was left. A budget only loses slack while
    branches are added, hence one pass is exhaustive.
    """
    tiles = linked.n_targets
    taken = set((linked.source.astype(np.int64) * tiles + linked.target).tolist())
    added: list[int] = []

    def offer(key: int) -> bool:
        source, tile = divmod(key, tiles)
        if key in taken or tile == tile_of[source] or not state.admits(source, tile):
            return False
        state.add(source, tile)
        taken.add(key)
        added.append(key)
        return True

    misses = 0
    while len(added) < wanted and misses < patience:
        misses = 0 if offer(int(rng.integers(linked.n_sources * tiles))) else misses + 1
    if len(added) < wanted:
        for key in rng.permutation(linked.n_sources * tiles):
            if len(added) >= wanted:
                break
            offer(int(key))
    keys = np.array(added, np.int64)
    return Connectivity.of(keys // tiles, keys % tiles, linked.n_sources, tiles)
