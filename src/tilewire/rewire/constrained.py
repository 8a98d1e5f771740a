"""Constrained training around anybody's loop: the budget holds after every step, the optimiser forgets what was rewired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilewire.errors import UsageError
from tilewire.kernels.blocks import DEAD
from tilewire.mapping.budget import Budget, Excess
from tilewire.mapping.placed_budget import Placed, PlacedState, tile_of_groups
from tilewire.nn.initialise import InitialLaw
from tilewire.nn.tiled import TiledRSNN
from tilewire.rewire.compress import largest
from tilewire.rewire.engine import Rewired, Rewiring
from tilewire.rewire.grow import GrowRule, Score, uniform
from tilewire.rewire.learned_split import LearnedSplit, split_parts, surplus
from tilewire.rewire.moments import forget as forget
from tilewire.rewire.moments import learning_rate
from tilewire.rewire.permute import TilePermutation
from tilewire.rewire.rule import Annealed, DropRule, Synapses, Walks, Wanders
from tilewire.streams import stream

Arrays = Mapping[str, NDArray[Any]]


class Constrained:
    """A tiled network whose branches stay inside a budget while any optimiser trains it.

    Empty branch slots are filled at once, by ``law``; branches born later get their weights by ``newborn`` (default: the same). Call
    `step` after ``optimiser.step()`` as often as rewiring is wanted.
    Excess <= 0 holds from construction on. A rule that moves synapses itself (`deepr`, `soft-deepr`) follows every ``optimiser.step()``
    through the optimiser's own hooks; dormant synapses then pass no gradient on, so that moments and norms know only the live ones.
    """

    def __init__(
        self,
        network: TiledRSNN,
        optimiser: torch.optim.Optimizer,
        budget: Budget,
        drop: DropRule,
        law: InitialLaw,
        seed: int,
        split: LearnedSplit | None = None,
        newborn: InitialLaw | None = None,
    ) -> None:
        self.network, self.optimiser, self.seed, self.split = network, optimiser, seed, split
        self.budget, self.drop, self.law, self.newborn = budget, drop, law, newborn or law
        self.restart(0)
        self.rewiring.grow(network.branch_weight, self._stream("positions", 0), self._stream("weights", 0))
        if isinstance(drop, Walks):
            self.synapses = Synapses.of(network.branch_weight)
            network.w_rec.register_hook(self._live_gradient)  # type: ignore[no-untyped-call]
            optimiser.register_step_post_hook(self._walk)

    def restart(self, steps: int, arrays: Arrays | None = None, rule: Arrays | None = None) -> None:
        """Take the network's wiring as it stands after so many rewiring steps; ``arrays`` are those the budget's state had saved, ``rule``
        those that `arrays` had returned.

        Raises `BudgetError` if the wiring exceeds the budget.
        """
        self.rewiring = Rewiring(self.network.branches, self.budget, self.drop, self.law, arrays=arrays)
        self.steps = steps
        self.updates = int(rule["updates"]) if rule else 0
        if isinstance(self.drop, Walks):
            self.synapses = Synapses.of(self.network.branch_weight, rule.get("hidden") if rule else None)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint must hold for the rule, beside weights and wiring, for `restart` to continue bit-identically."""
        if not isinstance(self.drop, Walks):
            return {}
        updates = {"updates": np.array(self.updates, np.int64)}
        return updates | {"hidden": self.synapses.hidden()} if isinstance(self.drop, Wanders) else updates

    def step(self, grow: GrowRule = uniform, score: Score | None = None) -> Rewired:
        """Drop and regrow once. Deterministic in (seed, number of steps so far) and in what ``grow`` looks at.

        A learned split moves its quotas first, by ``score``; branches above a lowered quota die with those that the rule drops.
        """
        self.steps += 1
        drop = self.drop.at(self.steps) if isinstance(self.drop, Annealed) else self.drop
        if self.split is not None and score is not None:
            groups = np.argsort(self.tile_of_group)
            self.split.move(self.rewiring.state, score, self._stream("split", self.steps), groups)
        self.rewiring.drop = drop if self.split is None else self._within_quotas(drop)
        self.rewiring.choose, self.rewiring.newborn = grow, self.newborn
        rewired = self.rewiring.step(
            self.network.branch_weight, self._stream("positions", self.steps), self._stream("weights", self.steps)
        )
        changed = np.union1d(rewired.killed, rewired.born)
        forget(self.optimiser, self.network.w_rec, torch.from_numpy(changed + self.network.n_local))
        if isinstance(self.drop, Walks):
            self.synapses.restart(changed)
        return rewired

    @property
    def tile_of_group(self) -> NDArray[np.int32]:
        """Tile on which each group of S neurons lies, int32 [groups]."""
        return tile_of_groups(self.rewiring.state, self.network.fabric.n_tiles)

    def permute(self, permutation: TilePermutation) -> int:
        """Move whole groups to other tiles if that lowers the load and the budget holds there; the number of groups that moved.

        Weights and wiring stay as they are, so the network computes the same numbers as before. Raises `UsageError` for a budget
        that is not `Placed`.
        """
        state, budget = self.rewiring.state, self.budget
        if not isinstance(state, PlacedState) or not isinstance(budget, Placed):
            raise UsageError("tiles can be permuted under a placed budget only", hint="Placed(build, group_of, ...)")
        before = state.tile_of_group
        live, rng = self.network.live_branches(), self._stream("permute", self.steps)
        self.rewiring.state = found = permutation.improve(self.network.fabric, budget, state, live, rng)
        return int((found.tile_of_group != before).sum())

    def _within_quotas(self, drop: DropRule) -> DropRule:
        """The rule, and the weakest branches above each quota besides."""
        quotas, _ = split_parts(self.rewiring.state)

        def both(weight: NDArray[np.float32]) -> NDArray[np.bool_]:
            dies = np.asarray(drop(weight)).copy()
            norm = np.where(dies, 0.0, np.linalg.norm(weight, axis=1))
            dies[surplus(quotas, self.network.branches, self.tile_of_group, norm)] = True
            return dies

        return both

    def prune(self, budget: Budget) -> Rewired:
        """Change to another budget and keep the branches of greatest norm that it admits; no branch is born."""
        table, weight = self.network.branches, self.network.branch_weight
        kept, state = largest(table, weight, budget)
        dies = np.setdiff1d(np.flatnonzero(table.tile != DEAD), kept)
        table.tile[dies] = DEAD
        weight[dies] = 0.0
        forget(self.optimiser, self.network.w_rec, torch.from_numpy(dies + self.network.n_local))
        if isinstance(self.drop, Walks):
            self.synapses.restart(dies)
        self.budget = budget
        self.restart(self.steps, state.arrays() or None, self.arrays() or None)
        return Rewired(dies, np.empty(0, np.int64), 0)

    def excess(self) -> Excess:
        """Use against capacity of every resource of the budget."""
        return self.rewiring.state.excess()

    def _walk(self, *_: object) -> None:
        """After an optimiser step: let the rule move the synapses; those that change their state lose their moments."""
        if isinstance(self.drop, Walks):
            rate = learning_rate(self.optimiser, self.network.w_rec)
            changed = self.drop.walk(self.synapses, rate, self._stream("noise", self.updates))
            self.updates += 1
            rows, columns = np.divmod(changed, self.synapses.weight.shape[1])
            where = torch.zeros(self.network.w_rec.shape, dtype=torch.bool)
            where[rows + self.network.n_local, columns] = True
            forget(self.optimiser, self.network.w_rec, where)

    def _live_gradient(self, gradient: Tensor) -> Tensor:
        local = self.network.n_local
        live = torch.from_numpy(self.synapses.live)
        return torch.cat([gradient[:local], gradient[local:] * live])

    def _stream(self, name: str, cursor: int) -> np.random.Generator:
        return stream(self.seed, f"rewire-{name}", cursor)
