"""Train all-to-all, prune whole branches into a budget, fine-tune: the baselines that choose their wiring once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.mapping.budget import Budget, BudgetState
from tilewire.rewire.hop_penalty import HopPenalty


@dataclass(frozen=True, eq=False)
class Compression:
    """A training in two parts.

    For ``after`` epochs every branch that ``dense`` has is trained, under the loss plus ``penalty`` if there is one; then the branches of
    greatest norm that ``target`` admits are kept (see `largest`), and trained on with the wiring fixed and the loss alone.
    """

    after: int
    dense: Budget
    target: Budget
    penalty: HopPenalty | None = None

    def budget(self, epoch: int) -> Budget:
        """The budget that holds while epoch ``epoch``, counted from 0, is trained."""
        return self.dense if epoch < self.after else self.target

    def penalty_in(self, epoch: int) -> HopPenalty | None:
        """The penalty of that epoch."""
        return self.penalty if epoch < self.after else None


def largest(table: Blocks, weight: NDArray[np.float32], budget: Budget) -> tuple[NDArray[np.int64], BudgetState]:
    """Slots of the branches that stay when a network is pruned into a budget, int64 [n], and the budget's state that holds them.

    In descending order of ||w_b||_2 (ties: lower slot first) every live branch that the budget still admits stays. Under a budget on the
    count of branches this is global magnitude pruning, under one on the fan-in of tiles it keeps the same number in every tile. ``weight``
    [slots, S].
    """
    live = np.flatnonzero(table.tile != DEAD)
    norm = np.linalg.norm(weight[live], axis=1)
    empty = np.zeros(0, np.int32)
    state = budget.start(Connectivity(table.n_sources, table.n_tiles, empty, empty))
    stay = []
    for slot in live[np.argsort(-norm, kind="stable")].tolist():
        source, tile = int(table.source[slot]), int(table.tile[slot])
        if state.admits(source, tile):
            state.add(source, tile)
            stay.append(slot)
    return np.array(sorted(stay), np.int64), state
