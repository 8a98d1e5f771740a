"""Placement as a lever while a network trains: whole tiles change places when that lowers the load and every budget still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError, UsageError, unknown
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.budgets import trees_of
from tilewire.mapping.memory_budget import NegotiatedMemoryState
from tilewire.mapping.negotiated import Effort, negotiate
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.placed_budget import Placed, PlacedState
from tilewire.mapping.placement_anneal import anneal, group_traffic, hop_cost
from tilewire.mapping.split_budget import parts_of
from tilewire.mapping.trees import loads
from tilewire.nn.roles import Roles

Ints = NDArray[np.int32]
Measure = Callable[[TileFabric, float, Ints], tuple[float, ...]]
ROUTE = Effort(rounds=40, patience=15)


def _traffic(fabric: TileFabric, traffic: float, load: Ints) -> tuple[float, ...]:
    """Hop-weighted multicast traffic: sum over branches of routers crossed."""
    return (traffic,)


def _ports(fabric: TileFabric, traffic: float, load: Ints) -> tuple[float, ...]:
    """Use of the fullest port, then traffic."""
    return float((load / np.maximum(fabric.capacity, 1)).max(initial=0.0)), traffic


def _devices(fabric: TileFabric, traffic: float, load: Ints) -> tuple[float, ...]:
    """M of the smallest homogeneous chip that carries the trees, tile outputs sized, then traffic."""
    return float(fabric.memory(fabric.widths_for(load, tile_out_sized=True)).total), traffic


OBJECTIVES: dict[str, Measure] = {"traffic": _traffic, "ports": _ports, "devices": _devices}
"""What a permutation must lower, compared from the first figure on."""


@dataclass(frozen=True)
class TilePermutation:
    """Search for a better placement of whole tiles (groups), and take it only if every budget holds there.

    Proposals, in order: the annealed placement (`mapping.placement_anneal`, which lowers traffic), then single swaps of two tiles, those
    that lower the traffic most first, each from the best placement so far; ``tries`` in all. ``fixed`` groups stay. A proposal is taken
    if it lowers the ``objective`` and the state of all budgets can be started there: fixed paths are counted again; trees are grown
    again branch by branch, and also routed as a whole by the negotiated router inside the channels (under a memory budget: inside
    widths that its limit pays for). Neither weights nor wiring change, so outputs are the same numbers before and after. Raises
    `UsageError` for an unknown objective.
    """

    objective: str = "traffic"
    fixed: tuple[int, ...] = ()
    tries: int = 16

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise UsageError(unknown("permutation objective", self.objective, OBJECTIVES))

    def improve(
        self, fabric: TileFabric, budget: Placed, state: PlacedState, branches: Connectivity, rng: np.random.Generator
    ) -> PlacedState:
        """The best state found, ``state`` itself if none is better; ``branches`` neuron -> group."""
        best, least = state, self._measure(fabric, state, branches)
        left = self.tries
        while left > 0:
            before = best
            for placement in self._proposals(fabric, best.tile_of_group, branches, rng, first=left == self.tries):
                left -= 1
                for found in _restarted(fabric, budget, best, branches, placement, rng):
                    value = self._measure(fabric, found, branches)
                    if value < least:
                        best, least = found, value
                if best is not before:
                    break
                if left <= 0:
                    break
            if best is before:
                break
        return best

    def _measure(self, fabric: TileFabric, state: PlacedState, branches: Connectivity) -> tuple[float, ...]:
        traffic = hop_cost(fabric, branches, state.tile_of_group)
        return OBJECTIVES[self.objective](fabric, traffic, _load(fabric, state, branches))

    def _proposals(
        self, fabric: TileFabric, tile: Ints, branches: Connectivity, rng: np.random.Generator, first: bool
    ) -> Iterator[Ints]:
        if first:
            annealed = anneal(fabric, branches, fixed={group: int(tile[group]) for group in self.fixed}, rng=rng)
            if not np.array_equal(annealed, tile):
                yield annealed
        gains, pairs = _swap_gains(fabric, branches, tile, np.array(sorted(self.fixed), np.int64))
        for at in np.argsort(-gains, kind="stable"):
            if gains[at] <= 0 and self.objective == "traffic":
                return
            swapped = tile.copy()
            swapped[pairs[at]] = tile[pairs[at][::-1]]
            yield swapped


def permutation_of(
    roles: Roles, fabric: TileFabric, objective: str, fixed: Sequence[str], tries: int
) -> TilePermutation:
    """A permutation that keeps ``fixed`` = "inputs" and/or "outputs" where they are; others move with their lines."""
    groups: dict[str, NDArray[np.integer]] = {
        "inputs": roles.input_tiles,
        "outputs": roles.output_neurons // fabric.neurons_per_tile,
    }
    stay = np.unique(np.concatenate([[], *(groups[name] for name in fixed)])).astype(np.int64)
    return TilePermutation(objective, tuple(stay.tolist()), tries)


def _load(fabric: TileFabric, state: PlacedState, branches: Connectivity) -> Ints:
    """Nets on each link: of the trees that the state holds, else of the fixed paths."""
    trees = trees_of(state)
    if trees is None:
        size = fabric.neurons_per_tile
        tile_of = state.tile_of_group[np.arange(fabric.n_neurons) // size]
        trees = route_one_turn(fabric, state.on_tiles(branches), tile_of)
    return loads(fabric, trees)


def _restarted(
    fabric: TileFabric, budget: Placed, state: PlacedState, branches: Connectivity, placement: Ints, rng: np.random.Generator
) -> Iterator[PlacedState]:  # fmt: skip
    """States of the same branches at another placement: as the budget starts it, then with negotiated trees; those that hold."""
    arrays: dict[str, NDArray[Any]] = {**state.arrays(), "placement": placement}
    prefix = next((name.removesuffix("tree_ptr") for name in arrays if name.endswith("tree_ptr")), None)
    if prefix is None:
        yield from _held(budget, branches, arrays)
        return
    without = {name: value for name, value in arrays.items() if not name.startswith(prefix + "tree_")}
    yield from _held(budget, branches, without)
    moved = Connectivity.of(branches.source, placement[branches.target], branches.n_sources, branches.n_targets)
    capacity = next(
        (_paid(part) for part in parts_of(state) if isinstance(part, NegotiatedMemoryState)), fabric.capacity
    )
    found = negotiate(fabric, moved, placement[budget.group_of], capacity=capacity, effort=ROUTE, rng=rng)
    if not found.overuse:
        trees: dict[str, NDArray[Any]] = {prefix + "tree_ptr": found.trees.ptr, prefix + "tree_link": found.trees.link}
        yield from _held(budget, branches, {**without, **trees})


def _held(budget: Placed, branches: Connectivity, arrays: dict[str, NDArray[Any]]) -> Iterator[PlacedState]:
    """The state, if its budget can be started and holds."""
    try:
        state = budget.start(branches, arrays)
    except BudgetError:
        return
    if state.excess().fits:
        yield state


def _paid(memory: NegotiatedMemoryState) -> Ints:
    """Channels per link that the memory limit pays for, raised evenly, int32 [links]."""
    chip = memory.chip
    wide = chip.roomy(np.zeros(chip.n_classes, np.int32), memory.budget.devices)
    paid: Ints = np.minimum(memory.capacity, wide[chip.class_of]).astype(np.int32)
    return paid


def _swap_gains(
    fabric: TileFabric, branches: Connectivity, tile: Ints, fixed: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How much less traffic the swap of two groups makes, float64 [pairs], and the pairs of groups int64 [pairs, 2]."""
    source, target, flow = group_traffic(branches, fabric.neurons_per_tile)
    amount = np.zeros((fabric.n_tiles,) * 2)
    np.add.at(amount, (source, target), flow)
    both = amount + amount.T
    hop = fabric.hop_distance[np.ix_(tile, tile)].astype(np.float64)
    free = np.setdiff1d(np.arange(fabric.n_tiles), fixed)
    a, b = np.triu_indices(free.size, 1)
    pairs = np.stack([free[a], free[b]], axis=1)
    pull = both @ hop  # [a, b]: traffic of a if it stood where b does; hop counts are symmetric on tile grids
    here = np.diagonal(pull)
    x, y = pairs.T
    gains = here[x] + here[y] - (pull[x, y] + pull[y, x] + 2 * both[x, y] * hop[x, y])
    return gains, pairs
