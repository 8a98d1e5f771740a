"""What rewiring adds to training at the size of W1: 1,024 neurons on 4 x 8 tiles, 5 % of the branches, 1 % of them renewed at a time.

The peer is the training step of W1. Our contestants are one rewiring step each, with all that belongs to it (drop, regrowth inside the
budget, newborn weights, moments set to zero), under the papers' hop profile and under the exact port budgets of both routers. One chip has
channels to spare; on the other the budgets hold fewer branches than there are slots, so that every step looks for room in vain, too.
The share of a training step is 1 / ratio if every step rewires and 1 / (60 ratio) if every 60th does (an epoch).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
import torch

from tilewire.bench.contest import Contest, Contestant
from tilewire.bench.w1 import Step, Workload, build, own
from tilewire.hardware.fabric import TileFabric
from tilewire.hardware.mosaic import mosaic
from tilewire.kernels.lif import Lif
from tilewire.mapping.budget import Budget
from tilewire.mapping.budgets import build_budget
from tilewire.nn.initialise import AboveThreshold
from tilewire.nn.roles import TiledSpec
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.constrained import Constrained
from tilewire.rewire.magnitude import SmallestNorm

GRID, RENEWED, THRESHOLD = (4, 8), 0.011, 0.05
WIDTHS = {"channels to spare": 32, "channels used up": 12}
KINDS = {
    "hop-profile": ("hop-profile", "one-turn"),
    "one-turn-ports": ("ports", "one-turn"),
    "negotiated-ports": ("ports", "negotiated"),
}
"""Contestant -> kind of budget and router."""


@dataclass(frozen=True)
class Case:
    """A training step and the chip that its network rewires on: a grid of tiles with so many channels on every side."""

    workload: Workload = field(default_factory=Workload)
    grid: tuple[int, int] = GRID
    width: int = WIDTHS["channels to spare"]

    @property
    def fabric(self) -> TileFabric:
        """The chip."""
        return mosaic(self.grid, self.workload.size, router=self.width, tile_in=self.width)

    def budget(self, name: str, fabric: TileFabric) -> Budget:
        """The budget of a contestant; it holds about as many branches as the training step has."""
        branches = round(self.workload.density * fabric.n_neurons * fabric.n_tiles)
        pairs = sum(count * fabric.neurons_per_tile / d for d, count in fabric.hop_classes.items())
        profile = {d: min(1.0, branches / pairs / d) for d in fabric.hop_classes}
        tile_of = np.repeat(np.arange(fabric.n_tiles, dtype=np.int32), fabric.neurons_per_tile)
        kind, router = KINDS[name]
        return build_budget(kind, fabric, tile_of, {"profile": profile, "router": router, "branches": branches})


def contests() -> list[Contest]:
    """Rewiring against the training step that it is added to."""
    return [contest(f"Rewiring, 1 % renewed, {name}", Case(width=width)) for name, width in WIDTHS.items()]


def contest(title: str, case: Case) -> Contest:
    """The same at any size."""
    train = lru_cache(maxsize=1)(lambda: own(build(case.workload), "numba"))
    table: dict[str, Callable[[], Contestant]] = {"training-step": lambda: Contestant(train())}
    table |= {name: partial(_rewiring, case, name, train) for name in KINDS}
    return Contest(title, table, frozenset(KINDS), (), rounds=15)


def _rewiring(case: Case, name: str, train: Callable[[], Step]) -> Contestant:
    constrained = wired(case, name)
    # a training step before each one: caches as in training
    return Contestant(constrained.step, lambda: [constrained.excess().excess], train())


def wired(case: Case, name: str) -> Constrained:
    """A network inside the budget, its optimiser with moments."""
    fabric, workload = case.fabric, case.workload
    law, budget = AboveThreshold(THRESHOLD), case.budget(name, fabric)
    spec = TiledSpec(workload.channels, workload.classes, inputs="dense")
    network = TiledRSNN(fabric, spec, Lif(0.95), budget.branches(), law, np.random.default_rng(workload.seed))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    constrained = Constrained(network, optimiser, budget, SmallestNorm(RENEWED), law, workload.seed)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    return constrained
