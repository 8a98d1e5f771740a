"""The budget that knows no hardware: so many branches between tiles, at any distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.mapping.budget import Excess

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Count:
    """At most ``most`` branches between tiles, all in all; None is all-to-all. Own tile not counted.

    ``tile_of`` int32 [neurons], ``tiles`` of the chip. Raises `BudgetError` for a negative count.
    """

    tile_of: Ints
    tiles: int
    most: int | None = None

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 0:
            raise BudgetError(f"{self.most} branches, at least 0 are needed")

    def branches(self) -> int:
        every = self.tile_of.size * (self.tiles - 1)
        return every if self.most is None else min(every, self.most)

    def start(self, branches: Connectivity, arrays: Mapping[str, NDArray[Any]] | None = None) -> CountState:
        return CountState(self, branches)


class CountState:
    """The number of branches between tiles: one resource."""

    def __init__(self, budget: Count, branches: Connectivity) -> None:
        self.budget, self.most = budget, budget.branches()
        self.use = len(branches.without_own(budget.tile_of))

    def admits(self, source: int, tile: int) -> bool:
        return self.use < self.most or bool(self.budget.tile_of[source] == tile)

    def add(self, source: int, tile: int) -> None:
        self.use += int(self.budget.tile_of[source] != tile)

    def remove(self, source: int, tile: int) -> None:
        self.use -= int(self.budget.tile_of[source] != tile)

    def remove_all(self, source: Ints, tile: Ints) -> None:
        """Remove many branches at once, int32 [n] each."""
        self.use -= int((self.budget.tile_of[source] != tile).sum())

    def excess(self) -> Excess:
        return Excess(np.array([self.use]), np.array([self.most]), lambda _: "branches between tiles")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: the count follows from the branches."""
        return {}

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        """Draw without replacement among all absent branches, so the count is met exactly."""
        neurons, tiles = linked.n_sources, linked.n_targets
        absent = np.ones((neurons, tiles), bool)
        absent[linked.source, linked.target] = False
        absent[np.arange(neurons), self.budget.tile_of] = False
        free = np.flatnonzero(absent)
        chosen = rng.choice(free, max(0, min(wanted, self.most - self.use, free.size)), replace=False)
        self.use += chosen.size
        return Connectivity.of(chosen // tiles, chosen % tiles, neurons, tiles)
