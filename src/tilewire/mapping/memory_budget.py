"""Device memory as a budget: the smallest homogeneous chip that carries the current trees may cost so many devices and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import BudgetError
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.budget import BudgetState, Excess
from tilewire.mapping.forest import Forest, grow_trees
from tilewire.mapping.negotiated import Effort, negotiate
from tilewire.mapping.one_turn_fill import fill_one_turn
from tilewire.mapping.port_loads import PortLoads
from tilewire.mapping.smallest_chip import SmallestChip

Ints = NDArray[np.int32]
Arrays = Mapping[str, NDArray[Any]]
PATIENCE = 32  # draws per wanted branch before a refill of grown trees gives up for this time
REPACK = Effort(rounds=30, patience=10)
RAISES = ((), (1,), (2,), (1, 2), (0,), (0, 1), (0, 2), (0, 1, 2))
"""Which link classes a new path may widen, in the order they are tried: none, tile inputs, tile outputs, then routers."""


@dataclass(frozen=True, eq=False)
class DeviceMemory:
    """M of the smallest homogeneous chip that carries the trees <= ``devices``, inside the channels of the chip at hand.

        M(w) <= limit,   w_k = largest load in width class k <= channels

    A branch inside the present widths costs nothing; one that raises the widest port of a class costs the devices of a whole row of
    ports, on every unit. The chip's own widths bound the search: describe a wide one to leave them to the budget, a tight one to hold
    ports and memory at once. ``negotiated`` grows trees, else paths are fixed. ``tile_out_sized``: tile outputs count at their load;
    False is the published count (all S neurons wired out on every side). ``most``: branches, all in all. Raises `BudgetError` below
    the floor.
    """

    fabric: TileFabric
    tile_of: Ints
    devices: int
    tile_out_sized: bool = False
    negotiated: bool = False
    most: int | None = None

    def __post_init__(self) -> None:
        if self.devices < self.chip.floor():
            raise BudgetError(
                f"a memory budget of {self.devices} devices is below {self.chip.floor()}, which a chip without channels has",
                hint="more devices, fewer tiles" + ("" if self.tile_out_sized else ", or tile_out: sized"),
            )

    @cached_property
    def chip(self) -> SmallestChip:
        """M as a function of widths."""
        return SmallestChip(self.fabric, self.tile_out_sized)

    def branches(self) -> int:
        width = self.chip.widest_inputs(self.devices)
        into = self.fabric.link_class == 1
        tile = self.fabric.tile_index[self.fabric.link_target[into]]
        ways = np.minimum(self.fabric.capacity, width[self.chip.class_of])[into]
        entries = np.bincount(tile, weights=ways, minlength=self.fabric.n_tiles)
        limit = int(np.minimum(entries, self.tile_of.size - self.fabric.neurons_per_tile).sum())
        return limit if self.most is None else min(limit, self.most)

    def start(self, branches: Connectivity, arrays: Arrays | None = None) -> BudgetState:
        if self.negotiated:
            return NegotiatedMemoryState(self, branches, arrays)
        return OneTurnMemoryState(self, branches)


def _absent(linked: Connectivity, tile_of: Ints) -> NDArray[np.int64]:
    """Branches to other tiles that a connectivity lacks, as source * tiles + tile, ascending."""
    neurons, tiles = linked.n_sources, linked.n_targets
    absent = np.ones((neurons, tiles), bool)
    absent[linked.source, linked.target] = False
    absent[np.arange(neurons), tile_of] = False
    return np.flatnonzero(absent.ravel())


class _Widths:
    """Loads, the widths they need and M, kept while branches come and go."""

    def __init__(self, budget: DeviceMemory) -> None:
        self.budget, self.chip = budget, budget.chip
        self.capacity = budget.fabric.capacity
        self._width: Ints | None = None
        self._free: Ints | None = None

    @property
    def load(self) -> Ints:
        """Nets per link, int32 [links]."""
        raise NotImplementedError

    @property
    def width(self) -> Ints:
        """Widest load of each width class, int32 [classes]."""
        if self._width is None:
            self._width = self.chip.widths(self.load)
        return self._width

    @property
    def devices(self) -> int:
        """M of the smallest chip that carries the trees as they stand."""
        return self.chip.devices(self.width)

    @property
    def free(self) -> Ints:
        """Channels per link, int32 [links], that add nothing to M: inside the widths of the smallest chip."""
        if self._free is None:
            wide = self.chip.closed(self.width)
            self._free = np.minimum(self.capacity, wide[self.chip.class_of]).astype(np.int32)
        return self._free

    def _changed(self) -> None:
        self._width = self._free = None

    def _affords(self, links: Ints) -> bool:
        """Whether one more net on each of these links leaves M within the limit."""
        if (self.load[links] < self.free[links]).all():
            return True
        width = self.width.copy()
        np.maximum.at(width, self.chip.class_of[links], self.load[links] + 1)
        return self.chip.devices(width) <= self.budget.devices

    def excess(self) -> Excess:
        """Channels of every link, then devices."""
        use = np.append(self.load.astype(np.int64), self.devices)
        limit = np.append(self.capacity.astype(np.int64), self.budget.devices)
        fabric = self.budget.fabric
        return Excess(use, limit, lambda at: "device memory" if at == fabric.n_links else fabric.link_name(at))


class OneTurnMemoryState(_Widths):
    """Loads of the fixed paths; a branch is admitted if its new links have channels and M stays within the limit."""

    def __init__(self, budget: DeviceMemory, branches: Connectivity) -> None:
        super().__init__(budget)
        self.loads = PortLoads.of(budget.fabric, branches, budget.tile_of)

    @property
    def load(self) -> Ints:
        return self.loads.load

    def admits(self, source: int, tile: int) -> bool:
        new = self.loads.new_links(source, tile)
        return bool((self.load[new] < self.capacity[new]).all()) and self._affords(new)

    def add(self, source: int, tile: int) -> None:
        self.loads.add_branch(source, tile)
        self._changed()

    def remove(self, source: int, tile: int) -> None:
        self.loads.remove_branch(source, tile)
        self._changed()

    def remove_all(self, source: Ints, tile: Ints) -> None:
        """Remove many branches at once, int32 [n] each."""
        for one, other in zip(source.tolist(), tile.tolist(), strict=True):
            self.loads.remove_branch(one, other)
        self._changed()

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        """All absent branches in random order. One pass is exhaustive: what is refused once stays refused while branches are added."""
        chip, tiles = self.chip, linked.n_targets
        keys = rng.permutation(_absent(linked, self.budget.tile_of))
        added = fill_one_turn(self.loads, keys, wanted, self.capacity, lambda: self.free, chip.class_of, self._widen)
        self._changed()
        return Connectivity.of(added // tiles, added % tiles, linked.n_sources, tiles)

    def _widen(self, source: int, tile: int) -> bool:
        """Add a branch that needs wider ports if M admits them."""
        self._changed()
        if not self.admits(source, tile):
            return False
        self.add(source, tile)
        return True

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing: loads follow from the branches."""
        return {}


class NegotiatedMemoryState(_Widths):
    """A forest grown inside the widths that the limit pays for; saved trees are taken over as they are.

    A new branch takes the cheapest path inside the present widths. Where there is none, ports are widened by one channel: tile inputs
    first, routers last (`RAISES`), each class only if M admits it alone, the path found only if M admits all that it widens. Near the
    limit this may overlook a path that widens less; it never accepts one that costs too much.
    """

    def __init__(self, budget: DeviceMemory, branches: Connectivity, arrays: Arrays | None) -> None:
        super().__init__(budget)
        self._tried: list[Ints] | None = None
        self._room = np.zeros(budget.fabric.n_links, np.int32)
        self.forest = Forest(budget.fabric, budget.tile_of, self._room)
        self._filled = len(branches) > 0
        grow_trees(self.forest, branches, arrays, self.add)

    @property
    def load(self) -> Ints:
        return self.forest.load

    def _changed(self) -> None:
        super()._changed()
        self._tried = None

    def _rooms(self) -> list[Ints]:
        """Channels per link that a search may use, int32 [links] each, in the order of `RAISES`, repeats left out."""
        if self._tried is None:
            dearer = self.chip.marginal(self.chip.closed(self.width)) > self.budget.devices - self.devices
            rooms: dict[bytes, Ints] = {}
            for raised in RAISES:
                more = np.isin(self.chip.link_class, raised) & ~dearer
                room = np.minimum(self.capacity, self.free + more[self.chip.class_of]).astype(np.int32)
                rooms.setdefault(room.tobytes(), room)
            self._tried = list(rooms.values())
        return self._tried

    def _opens(self, source: int, tile: int) -> bool:
        """Whether a path exists; the forest is left with the room in which it lies."""
        for room in self._rooms():
            self._room[:] = room
            links = self.forest.extension(source, tile)
            if links is not None and self._affords(links):
                return True
        return False

    def admits(self, source: int, tile: int) -> bool:
        return bool(self.budget.tile_of[source] == tile) or self._opens(source, tile)

    def add(self, source: int, tile: int) -> None:
        if self.budget.tile_of[source] == tile:
            return
        if not self._opens(source, tile):
            where = self.budget.fabric.tile_name(tile)
            raise BudgetError(
                f"no affordable path for the branch of neuron {source}", where=where, hint="ask `admits` first"
            )
        self._extend(source, tile)

    def _extend(self, source: int, tile: int) -> None:
        self.forest.add(source, tile)
        width = self.chip.widths(self.load)
        if not np.array_equal(width, self.width):
            self._changed()

    def remove(self, source: int, tile: int) -> None:
        if self.budget.tile_of[source] != tile:
            self.forest.remove(source, tile)
            self._changed()

    def fill(self, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        """Absent branches in random order; the first fill tries all of them, later ones ``PATIENCE`` per wanted one."""
        neurons, tiles = linked.n_sources, linked.n_targets
        taken = np.zeros(neurons * tiles, bool)
        keys = rng.permutation(_absent(linked, self.budget.tile_of))
        keys = keys[: PATIENCE * wanted] if self._filled else keys
        self._filled = True
        added: list[int] = []
        for at, key in enumerate(keys.tolist()):
            if len(added) >= wanted:
                break
            if len(self._rooms()) == 1:  # nothing can be widened any more: what is left is a matter of free channels
                self._room[:] = self._rooms()[0]
                added += self.forest.fill(keys[at:], wanted - len(added), taken).tolist()
                break
            source, tile = divmod(key, tiles)
            if self._opens(source, tile):
                self._extend(source, tile)
                taken[key] = True
                added.append(key)
        found = np.array(added, np.int64)
        return Connectivity.of(found // tiles, found % tiles, neurons, tiles)

    def repack(self, rng: np.random.Generator) -> int:
        """Route all nets again inside narrower ports as long as that saves devices, the dearest class first; the devices saved.

        Branches stay the same, and the trees that stand are kept unless a whole routing was found.
        """
        fabric, start = self.budget.fabric, self.devices
        branches, trees, narrower = self.forest.branches(), self.forest.trees(), True
        while narrower:
            narrower = False
            one = np.eye(self.chip.n_classes, dtype=np.int32)
            widths = [np.maximum(self.width - step, 0) for step in one]
            for width in sorted(widths, key=self.chip.devices):
                if narrower or self.chip.devices(width) >= self.devices:
                    break
                room = np.minimum(self.capacity, self.chip.closed(width)[self.chip.class_of]).astype(np.int32)
                found = negotiate(
                    fabric, branches, self.budget.tile_of, capacity=room, effort=REPACK, rng=rng, warm=trees
                )
                if not found.overuse:
                    trees, narrower = found.trees, True
                    self.forest.plant(trees)
                    self._changed()
        return start - self.devices

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The trees, which the branches alone do not determine."""
        trees = self.forest.trees()
        return {"tree_ptr": trees.ptr, "tree_link": trees.link}
