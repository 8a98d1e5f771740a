"""Constrained training around anybody's loop: the budget holds after every step, the optimiser forgets what was rewired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tilewire.mapping.budget import Budget, Excess
from tilewire.nn.initialise import InitialLaw
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.drop import DropRule
from tilewire.rewire.engine import Rewired, Rewiring
from tilewire.streams import stream


def forget(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, rows: torch.Tensor) -> None:
    """Zero, in place, every optimiser moment of some rows of a parameter, so that nothing creeps back from an earlier life."""
    for value in optimiser.state.get(parameter, {}).values():
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
            value[rows] = 0


class Constrained:
    """A tiled network whose branches stay inside a budget while any optimiser trains it.

    Empty branch slots are filled at once. Call `step` after ``optimiser.step()`` as often as rewiring is wanted.
    Excess <= 0 holds from construction on.
    """

    def __init__(
        self,
        network: TiledRSNN,
        optimiser: torch.optim.Optimizer,
        budget: Budget,
        drop: DropRule,
        law: InitialLaw,
        seed: int,
    ) -> None:
        self.network, self.optimiser, self.seed = network, optimiser, seed
        self.budget, self.drop, self.law = budget, drop, law
        self.restart(0)
        self.rewiring.grow(network.branch_weight, self._stream("positions", 0), self._stream("weights", 0))

    def restart(self, steps: int, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Take the network's wiring as it stands after so many rewiring steps; ``arrays`` are those the budget's state had saved.

        Raises `BudgetError` if the wiring exceeds the budget.
        """
        self.rewiring = Rewiring(self.network.branches, self.budget, self.drop, self.law, arrays=arrays)
        self.steps = steps

    def step(self) -> Rewired:
        """Drop and regrow once. Deterministic in (seed, number of steps so far)."""
        self.steps += 1
        rewired = self.rewiring.step(
            self.network.branch_weight, self._stream("positions", self.steps), self._stream("weights", self.steps)
        )
        slots = np.union1d(rewired.killed, rewired.born) + self.network.n_local
        forget(self.optimiser, self.network.w_rec, torch.from_numpy(slots))
        return rewired

    def excess(self) -> Excess:
        """Use against capacity of every resource of the budget."""
        return self.rewiring.state.excess()

    def _stream(self, name: str, cursor: int) -> np.random.Generator:
        return stream(self.seed, f"rewire-{name}", cursor)
