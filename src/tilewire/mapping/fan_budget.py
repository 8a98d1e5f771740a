"""Budgets on counts: branches out of a neuron, branches into a tile, and several budgets that all must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.budget import Budget, BudgetState, Excess, fill_by_rejection

Ints = NDArray[np.int32]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Fan:
    """Branches per neuron <= ``out`` (fan-out) and branches into a tile <= ``into`` (fan-in), own tile not counted; None = free."""

    fabric: TileFabric
    tile_of: Ints
    out: int | None = None
    into: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("fan_out", self.out), ("fan_in", self.into)):
            if value is not None and value < 0:
                raise BudgetError(f"{name} is {value}, at least 0 is needed")

    def branches(self) -> int:
        neurons, tiles = self.tile_of.size, self.fabric.n_tiles
        out = neurons * min(tiles - 1, tiles if self.out is None else self.out)
        into = tiles * min(neurons - self.fabric.neurons_per_tile, neurons if self.into is None else self.into)
        return min(out, into)

    def start(self, branches: Connectivity, arrays: Arrays | None = None) -> FanState:
        return FanState(self, branches)


class FanState:
    """Fan-out and fan-in counts; resources are the limited neurons, then the limited tiles."""

    def __init__(self, budget: Fan, branches: Connectivity) -> None:
        self.budget = budget
        wired = branches.without_own(budget.tile_of)
        self.out, self.into = wired.fan_out.copy(), wired.fan_in.copy()

    def _counts(self, source: int, tile: int) -> bool:
        return bool(self.budget.tile_of[source] != tile)

    def admits(self, source: int, tile: int) -> bool:
        budget = self.budget
        free_out = budget.out is None or self.out[source] < budget.out
        free_into = budget.into is None or self.into[tile] < budget.into
        return not self._counts(source, tile) or bool(free_out and free_into)

    def add(self, source: int, tile: int) -> None:
        if self._counts(source, tile):
            self.out[source] += 1
            self.into[tile] += 1

    def remove(self, source: int, tile: int) -> None:
        if self._counts(source, tile):
            self.out[source] -= 1
            self.into[tile] -= 1

    def excess(self) -> Excess:
        budget = self.budget
        use = [*([] if budget.out is None else [self.out]), *([] if budget.into is None else [self.into])]
        limit = [
            np.full(counts.size, cap, np.int64)
            for counts, cap in ((self.out, budget.out), (self.into, budget.into))
            if cap is not None
        ]
        neurons = 0 if budget.out is None else self.out.size

        def name(resource: int) -> str:
            if resource < neurons:
                return f"neuron {resource}, fan-out"
            return f"{budget.fabric.tile_name(resource - neurons)}, fan-in"

        empty = np.empty(0, np.int64)
        return Excess(np.concatenate([empty, *use]), np.concatenate([empty, *limit]), name)

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        return fill_by_rejection(self, linked, wanted, rng, self.budget.tile_of)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: counts follow from the branches."""
        return {}


@dataclass(frozen=True, eq=False)
class AllOf:
    """Several budgets, all of which must hold."""

    budgets: Sequence[Budget]
    tile_of: Ints

    def branches(self) -> int:
        return min(budget.branches() for budget in self.budgets)

    def start(self, branches: Connectivity, arrays: Arrays | None = None) -> AllOfState:
        return AllOfState(self, branches, arrays or {})


class AllOfState:
    """States of all budgets, changed together. A branch is admitted if every one admits it."""

    def __init__(self, budget: AllOf, branches: Connectivity, arrays: Arrays) -> None:
        self.tile_of = budget.tile_of
        self.states: list[BudgetState] = []
        for index, one in enumerate(budget.budgets):
            own = {name.partition(".")[2]: value for name, value in arrays.items() if name.startswith(f"{index}.")}
            self.states.append(one.start(branches, own or None))

    def admits(self, source: int, tile: int) -> bool:
        return all(state.admits(source, tile) for state in self.states)

    def add(self, source: int, tile: int) -> None:
        for state in self.states:
            state.add(source, tile)

    def remove(self, source: int, tile: int) -> None:
        for state in self.states:
            state.remove(source, tile)

    def excess(self) -> Excess:
        parts = [state.excess() for state in self.states]
        ends = np.cumsum([part.use.size for part in parts])

        def name(resource: int) -> str:
            index = int(np.searchsorted(ends, resource, side="right"))
            return parts[index].name(resource - (int(ends[index - 1]) if index else 0))

        return Excess(
            np.concatenate([part.use for part in parts]), np.concatenate([part.capacity for part in parts]), name
        )

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        return fill_by_rejection(self, linked, wanted, rng, self.tile_of)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the parts save, each under its number."""
        return {
            f"{index}.{name}": value
            for index, state in enumerate(self.states)
            for name, value in state.arrays().items()
        }
