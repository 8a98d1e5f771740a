"""The rewiring engine: drop, then regrow into the slack of a budget. Shapes never change; excess stays <= 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.kernels.numba_rewire import sorted_branches
from tilewire.mapping.budget import Budget, BudgetState, Bulk, Unsorted
from tilewire.nn.initialise import InitialLaw
from tilewire.rewire.drop import DropRule
from tilewire.rewire.grow import GrowRule, uniform


@dataclass(frozen=True, eq=False)
class Rewired:
    """One rewiring step, counted in branches: slots ``killed`` and ``born`` int64 [n]; ``missing`` slots stay empty."""

    killed: NDArray[np.int64]
    born: NDArray[np.int64]
    missing: int


def live_branches(table: Blocks) -> Connectivity:
    """The connectivity that a table of branch slots holds."""
    source, tile = sorted_branches(table.source, table.tile, table.n_sources, table.n_tiles)
    return Connectivity(table.n_sources, table.n_tiles, source, tile)


class Rewiring:
    """Drop rule + grow rule + newborn law + budget over a table of branch slots (`Blocks`, one slot per branch, dead slots allowed).

    Own-tile crossbars are not in the table and so are protected; branches into output tiles count and rewire like all others.
    Positions and weights are drawn from two generators.
    """

    def __init__(
        self,
        table: Blocks,
        budget: Budget,
        drop: DropRule,
        newborn: InitialLaw,
        choose: GrowRule = uniform,
        arrays: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.table, self.drop, self.newborn, self.choose = table, drop, newborn, choose
        self.state: BudgetState = budget.start(live_branches(table), arrays)
        if not self.state.excess().fits:
            excess = self.state.excess()
            worst = int(excess.excess.argmax())
            raise BudgetError(
                f"the connectivity uses {excess.use[worst]} of {excess.capacity[worst]}", where=excess.name(worst)
            )

    def step(
        self, weight: NDArray[np.float32], positions: np.random.Generator, weights: np.random.Generator
    ) -> Rewired:
        """Drop and regrow once, in place on ``weight`` [slots, S] and on the table.

        Slots of newborn branches are returned so that the caller zeroes their optimiser state.
        """
        table = self.table
        dies = np.flatnonzero(self.drop(weight) & (table.tile != DEAD))
        if isinstance(self.state, Bulk):
            self.state.remove_all(table.source[dies], table.tile[dies])
        else:
            for slot in dies:
                self.state.remove(int(table.source[slot]), int(table.tile[slot]))
        table.tile[dies] = DEAD
        return self.grow(weight, positions, weights, killed=dies)

    def grow(
        self,
        weight: NDArray[np.float32],
        positions: np.random.Generator,
        weights: np.random.Generator,
        killed: NDArray[np.int64] | None = None,
    ) -> Rewired:
        """Fill empty slots with branches that the budget admits; the weights of those that stay empty are 0."""
        table = self.table
        empty = np.flatnonzero(table.tile == DEAD)
        if self.choose is uniform and isinstance(self.state, Unsorted):
            new = self.state.fill_beside(table.source, table.tile, empty.size, positions)
        else:
            new = self.choose(self.state, live_branches(table), empty.size, positions)
        born, weight[empty[len(new) :]] = empty[: len(new)], 0.0
        table.source[born], table.tile[born] = new.source, new.target
        weight[born] = self.newborn((born.size, weight.shape[1]), weights)
        return Rewired(np.empty(0, np.int64) if killed is None else killed, born, int(empty.size - born.size))
