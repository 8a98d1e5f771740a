"""A budget for groups of neurons that may change tiles: the network knows groups, the chip knows tiles, a placement stands between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.mapping.budget import Budget, BudgetState, Bulk, Excess

Ints = NDArray[np.int32]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Placed:
    """A budget of branches neuron -> group, held on tiles: group g lies on tile ``tile_of_group[g]``, int32 [groups], a permutation.

    ``build(tile_of)`` makes the budget of a placement, ``tile_of`` int32 [neurons]; ``group_of`` [neurons] are the groups. Moving a group
    changes no weight and no output of the network: only which channels its branches take.
    """

    build: Callable[[Ints], Budget]
    group_of: Ints
    tile_of_group: Ints

    def branches(self) -> int:
        return self.build(self.tile_of_group[self.group_of]).branches()

    def start(self, branches: Connectivity, arrays: Arrays | None = None) -> PlacedState:
        return PlacedState(self, branches, arrays or {})


class PlacedState:
    """The state of the budget that holds at a placement; branches are translated on their way in and out."""

    def __init__(self, budget: Placed, branches: Connectivity, arrays: Arrays) -> None:
        self.tile_of_group = np.asarray(arrays.get("placement", budget.tile_of_group), np.int32)
        tiles = branches.n_targets
        if not np.array_equal(np.sort(self.tile_of_group), np.arange(tiles)):
            raise BudgetError(f"the placement of {self.tile_of_group.size} groups is no permutation of {tiles} tiles")
        self.group_on_tile = np.argsort(self.tile_of_group).astype(np.int32)
        own = {name: value for name, value in arrays.items() if name != "placement"}
        inner = budget.build(self.tile_of_group[budget.group_of])
        self.inner: BudgetState = inner.start(self.on_tiles(branches), own or None)

    def on_tiles(self, branches: Connectivity) -> Connectivity:
        """Branches neuron -> group as neuron -> tile."""
        target = self.tile_of_group[branches.target]
        return Connectivity.of(branches.source, target, branches.n_sources, branches.n_targets)

    def admits(self, source: int, group: int) -> bool:
        return self.inner.admits(source, int(self.tile_of_group[group]))

    def add(self, source: int, group: int) -> None:
        self.inner.add(source, int(self.tile_of_group[group]))

    def remove(self, source: int, group: int) -> None:
        self.inner.remove(source, int(self.tile_of_group[group]))

    def remove_all(self, source: Ints, group: Ints) -> None:
        """Remove many branches at once, int32 [n] each."""
        tile = self.tile_of_group[group]
        if isinstance(self.inner, Bulk):
            self.inner.remove_all(source, tile)
        else:
            for one, other in zip(source.tolist(), tile.tolist(), strict=True):
                self.inner.remove(one, other)

    def excess(self) -> Excess:
        return self.inner.excess()

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        added = self.inner.fill(self.on_tiles(linked), wanted, rng)
        return Connectivity.of(added.source, self.group_on_tile[added.target], added.n_sources, added.n_targets)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The placement, and what the budget on tiles saves."""
        return {"placement": self.tile_of_group, **self.inner.arrays()}


def tile_of_groups(state: BudgetState, n_tiles: int) -> Ints:
    """Tile of each group, int32 [groups], that a state holds its branches at; group g on tile g unless it was placed."""
    return state.tile_of_group if isinstance(state, PlacedState) else np.arange(n_tiles, dtype=np.int32)
