"""Hop quotas that may move while a network trains, and what a branch of each hop class costs in devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.mapping.budget import BudgetState, HopProfile, HopProfileState
from tilewire.mapping.port_loads import PortLoads
from tilewire.mapping.smallest_chip import SmallestChip

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
PAIRS = 256  # tile pairs per hop class that stand for all of them


@dataclass(frozen=True, eq=False)
class MovableProfile(HopProfile):
    """Quotas per source tile and hop class as `HopProfile` has them, that start at ``profile`` and may be moved.

    The hop classes it names stay the same: others keep quota 0. It bounds no total by itself and stands beside a budget that does.
    """

    def branches(self) -> int:
        full = replace(self, profile=dict.fromkeys(self.profile, 1.0))
        return int(HopProfile.quota(full).sum())

    def start(self, branches: Connectivity, arrays: Arrays | None = None) -> MovableProfileState:
        return MovableProfileState(self, branches, arrays or {})


class MovableProfileState(HopProfileState):
    """Use and quotas. ``profile`` float64 [classes] are the densities of the named classes, ``gain`` what was last learned of them."""

    def __init__(self, budget: MovableProfile, branches: Connectivity, arrays: Arrays) -> None:
        super().__init__(budget, branches)
        self.classes = np.array(list(budget.profile), np.int64)
        self.column = np.searchsorted(np.array(list(budget.fabric.hop_classes)), self.classes)
        self.pairs = np.array([budget.fabric.hop_classes[d] for d in budget.profile], np.int64)
        self.gain = np.asarray(arrays.get("gain", np.zeros(self.classes.size)), np.float64).copy()
        self.move(np.asarray(arrays.get("profile", list(budget.profile.values())), np.float64))

    @property
    def places(self) -> NDArray[np.int64]:
        """Branches that each named class offers, int64 [classes]."""
        return self.pairs * self.budget.fabric.neurons_per_tile

    @property
    def live(self) -> NDArray[np.int64]:
        """Branches in each named class, gamma_d, int64 [classes]."""
        live: NDArray[np.int64] = self.use.sum(axis=0)[self.column]
        return live

    def move(self, profile: Floats) -> None:
        """Set the densities of the named classes. Branches above a lowered quota are excess until they are removed."""
        self.profile = profile.copy()
        densities = dict(zip(self.classes.tolist(), profile.tolist(), strict=True))
        self.capacity = replace(self.budget, profile=densities).quota()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Where the quotas stand and what moved them there."""
        return {"profile": self.profile, "gain": self.gain}


def parts_of(state: object) -> Iterator[BudgetState]:
    """A budget state and all states it is made of."""
    yield state  # type: ignore[misc]
    inner = getattr(state, "inner", None)
    for part in [*getattr(state, "states", ()), *([] if inner is None else [inner])]:
        yield from parts_of(part)


def links_per_branch(chip: SmallestChip, classes: NDArray[np.integer]) -> Floats:
    """Mean links of each width class on the fixed path of a branch of each hop class, float64 [hop classes, width classes].

    Over all tile pairs of a hop class, or 256 evenly spaced ones.
    """
    fabric = chip.fabric
    paths = PortLoads(fabric, np.arange(fabric.n_tiles, dtype=np.int32))  # one net a tile stands for its neurons
    mean = np.zeros((len(classes), chip.n_classes))
    for row, d in enumerate(classes):
        pairs = np.argwhere(fabric.hop_distance == d)
        pairs = pairs[np.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).astype(np.int64)]
        for source, target in pairs.tolist():
            mean[row] += np.bincount(chip.class_of[paths.path(source, target)], minlength=chip.n_classes)
        mean[row] /= max(len(pairs), 1)
    return mean


def branch_prices(chip: SmallestChip, load: Ints, links: Floats) -> Floats:
    """Devices that one more branch of each hop class costs on average, float64 [hop classes].

        price_d = sum_k links_dk * dM_k * (w_k + 1) / (L_k + n_k)

    w_k = widest load of width class k, L_k = sum of its loads, n_k = its links, dM_k = devices of one more channel in it, ``links`` from
    `links_per_branch`. The fraction is the width that one more occupied link brings about when all loads of the class grow in
    proportion, once one more channel is open everywhere. A branch by itself costs either nothing or a whole row of ports, whichever
    came last: this is what it costs in the long run, and it varies smoothly. Sharing of links inside a net is not anticipated.
    """
    width = chip.widths(load)
    total = np.bincount(chip.class_of, weights=load, minlength=chip.n_classes)
    per_link = chip.marginal(width) * (width + 1) / (total + np.maximum(chip.links, 1))
    prices: Floats = links @ per_link
    return prices
