"""Grow rules: which of the admissible branches are born."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.errors import UsageError
from tilewire.mapping.budget import BudgetState

Score = Callable[[Connectivity], NDArray[np.float64]]
"""Branches that do not exist -> how much the loss wants each, float64 [branches]."""


def uniform(state: BudgetState, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
    """Up to ``wanted`` branches, uniform among those the budget admits and ``linked`` lacks; the budget's state then holds them."""
    return state.fill(linked, wanted, rng)


@dataclass(frozen=True)
class ByGradient:
    """Absent branches in descending order of their score while the budget admits them; a share is drawn uniformly.

    ``score``: usually the norm of the gradient that a branch of weight zero would get (`candidates.branch_gradient`), as in RigL (Evci
    et al. 2020), here per branch. ``explore``: share of the newborns that is uniform; so is whatever the order leaves open. ``pool``:
    score only so many absent branches, drawn uniformly (None = all). Ties keep a random order. Raises `UsageError` for an ``explore``
    outside 0..1.
    """

    score: Score
    explore: float = 0.2
    pool: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.explore <= 1:
            raise UsageError(f"an exploration share of {self.explore}", hint="0 to 1")

    def __call__(self, state: BudgetState, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
        """Up to ``wanted`` branches that ``linked`` lacks; the budget's state then holds them."""
        tiles = linked.n_targets
        guided = wanted - round(self.explore * wanted)
        taken: list[int] = []
        if guided:
            absent = absent_branches(linked)
            absent = rng.permutation(absent)[: self.pool]
            score = self.score(Connectivity.of(absent // tiles, absent % tiles, linked.n_sources, tiles))
            score = score[np.argsort(np.argsort(absent, kind="stable"), kind="stable")]  # scores come in sorted order
            for key in absent[np.argsort(-score, kind="stable")].tolist():
                if len(taken) >= guided:
                    break
                source, tile = divmod(key, tiles)
                if state.admits(source, tile):
                    state.add(source, tile)
                    taken.append(key)
        first = np.array(taken, np.int64)
        present = Connectivity.of(
            np.concatenate([linked.source, first // tiles]),
            np.concatenate([linked.target, first % tiles]),
            linked.n_sources,
            tiles,
        )
        rest = uniform(state, present, wanted - first.size, rng)
        return Connectivity.of(
            np.concatenate([first // tiles, rest.source]),
            np.concatenate([first % tiles, rest.target]),
            linked.n_sources,
            tiles,
        )


def absent_branches(linked: Connectivity) -> NDArray[np.int64]:
    """Branches to other tiles that a connectivity lacks, as source * tiles + tile, ascending. Neurons stand tile by tile."""
    tiles = linked.n_targets
    absent = np.ones(linked.n_sources * tiles, bool)
    absent[linked.source.astype(np.int64) * tiles + linked.target] = False
    neurons = np.arange(linked.n_sources)
    absent[neurons * tiles + neurons // (linked.n_sources // tiles)] = False
    return np.flatnonzero(absent)


GrowRule = Callable[[BudgetState, Connectivity, int, np.random.Generator], Connectivity]
GROW_RULES: dict[str, Callable[..., GrowRule]] = {"uniform": lambda **_: uniform, "gradient": ByGradient}
"""Grow rule name -> (score, explore, pool by keyword) -> rule."""
