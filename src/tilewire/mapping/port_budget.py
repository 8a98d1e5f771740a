"""The exact constraint as a budget: channels of every port, held branch by branch while a network rewires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.budget import MISSES, Excess
from tilewire.mapping.forest import Forest, grow_trees
from tilewire.mapping.port_loads import PortLoads

Ints = NDArray[np.int32]
Arrays = Mapping[str, NDArray[Any]]
PATIENCE = 32  # draws per wanted branch before a refill gives up for this time


def entries(fabric: TileFabric, tile_of: Ints) -> int:
    """Most branches that the tile inputs can take: a branch enters its tile by one channel."""
    into = fabric.link_class == 1
    ways = np.bincount(
        fabric.tile_index[fabric.link_target[into]], weights=fabric.capacity[into], minlength=fabric.n_tiles
    )
    return int(np.minimum(ways, tile_of.size - fabric.neurons_per_tile).sum())


def _excess(fabric: TileFabric, load: Ints) -> Excess:
    return Excess(load.astype(np.int64), fabric.capacity.astype(np.int64), fabric.link_name)


@dataclass(frozen=True, eq=False)
class _Ports:
    """The chip, the tile of each neuron, and ``most`` branches, all in all (None: what the tile inputs can take)."""

    fabric: TileFabric
    tile_of: Ints
    most: int | None = None

    def branches(self) -> int:
        limit = entries(self.fabric, self.tile_of)
        return limit if self.most is None else min(limit, self.most)


class OneTurnPorts(_Ports):
    """Nets on each link under the fixed paths <= its channels."""

    def start(self, branches: Connectivity, arrays: Arrays | None = None) -> OneTurnPortState:
        return OneTurnPortState(self, branches)


class OneTurnPortState:
    """Loads of the fixed paths; a branch is admitted if every link it newly takes has a free channel."""

    def __init__(self, budget: OneTurnPorts, branches: Connectivity) -> None:
        self.budget = budget
        self.loads = PortLoads.of(budget.fabric, branches, budget.tile_of)

    def admits(self, source: int, tile: int) -> bool:
        new = self.loads.new_links(source, tile)
        return bool((self.loads.load[new] < self.budget.fabric.capacity[new]).all())

    def add(self, source: int, tile: int) -> None:
        self.loads.add_branch(source, tile)

    def remove(self, source: int, tile: int) -> None:
        self.loads.remove_branch(source, tile)

    def excess(self) -> Excess:
        return _excess(self.budget.fabric, self.loads.load)

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        """`fill_by_rejection` in bulk: the same branches, the same generator afterwards."""
        neurons, tiles, capacity = linked.n_sources, linked.n_targets, self.budget.fabric.capacity
        taken = np.zeros(neurons * tiles, bool)
        taken[linked.source.astype(np.int64) * tiles + linked.target] = True
        found, misses = [np.empty(0, np.int64)], 0
        while wanted > 0 and misses < MISSES:
            before = rng.bit_generator.state
            keys = rng.integers(neurons * tiles, size=2 * wanted + MISSES)
            added, used, misses = self.loads.offer(keys, wanted, capacity, taken, MISSES, misses)
            rng.bit_generator.state = before
            rng.integers(neurons * tiles, size=used)  # as far as they were looked at
            found.append(added)
            wanted -= added.size
        if wanted > 0:
            found.append(self.loads.offer(rng.permutation(neurons * tiles), wanted, capacity, taken)[0])
        keys = np.concatenate(found)
        return Connectivity.of(keys // tiles, keys % tiles, neurons, tiles)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: loads follow from the branches."""
        return {}


class NegotiatedPorts(_Ports):
    """Nets on each link <= its channels, with trees that are grown and pruned as branches come and go: the state *is* the trees.

    add = cheapest extension through free channels, remove = prune what feeds nothing; no rip-up inside a step.
    """

    def start(self, branches: Connectivity, arrays: Arrays | None = None) -> NegotiatedPortState:
        return NegotiatedPortState(self, branches, arrays)


class NegotiatedPortState:
    """A forest inside the channels. From branches alone it grows them one by one, in order; saved trees are taken over as they are."""

    def __init__(self, budget: NegotiatedPorts, branches: Connectivity, arrays: Arrays | None) -> None:
        self.budget = budget
        self.forest = Forest(budget.fabric, budget.tile_of)
        self._filled = len(branches) > 0
        grow_trees(self.forest, branches, arrays, self.add)

    def _local(self, source: int, tile: int) -> bool:
        return bool(self.budget.tile_of[source] == tile)

    def admits(self, source: int, tile: int) -> bool:
        return self._local(source, tile) or self.forest.reaches(source, tile)

    def add(self, source: int, tile: int) -> None:
        if not self._local(source, tile) and not self.forest.add(source, tile):
            where = self.budget.fabric.tile_name(tile)
            raise BudgetError(f"no free path for the branch of neuron {source}", where=where, hint="ask `admits` first")

    def remove(self, source: int, tile: int) -> None:
        if not self._local(source, tile):
            self.forest.remove(source, tile)

    def excess(self) -> Excess:
        return _excess(self.budget.fabric, self.forest.load)

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        """The first fill tries every absent branch once, in random order; later ones draw ``PATIENCE`` branches per wanted one."""
        neurons, tiles = linked.n_sources, linked.n_targets
        taken = np.zeros(neurons * tiles, bool)
        taken[linked.source.astype(np.int64) * tiles + linked.target] = True
        keys = rng.integers(0, neurons * tiles, PATIENCE * wanted) if self._filled else rng.permutation(neurons * tiles)
        self._filled = True
        added = self.forest.fill(keys, wanted, taken)
        return Connectivity.of(added // tiles, added % tiles, neurons, tiles)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The trees, which the branches alone do not determine."""
        trees = self.forest.trees()
        return {"tree_ptr": trees.ptr, "tree_link": trees.link}
