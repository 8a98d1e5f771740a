"""Drop rules by magnitude: `set` drops a fixed share of the units, `rigl` an annealed one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tilewire.errors import UsageError
from tilewire.rewire.rule import Flags, Floats


@dataclass(frozen=True)
class SmallestNorm:
    """The share of the live units with the smallest 2-norm dies.

        n = round(share * live units),   the n units of least ||w_u||_2 (ties: lower index first)

    SET, Mocanu et al. 2018 (Nature Communications 9:2383), with zeta = ``share``. Departures: one threshold for both signs in place of
    smallest positive and largest negative weights, and newborn weights of 0 in an `nn.Module` in place of random ones, both as later
    implementations have it (google-research/rigl); units may be branches or blocks.
    Raises `UsageError` for a share outside 0..1.
    """

    share: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise UsageError(f"a turnover share of {self.share}", hint="0 to 1")

    def __call__(self, weight: Floats) -> Flags:
        """Units to drop, bool [units]. A row of zeros is an empty slot."""
        norm = np.linalg.norm(weight, axis=1)
        alive = np.flatnonzero(norm)
        order = alive[np.argsort(norm[alive], kind="stable")]
        dies = np.zeros(len(weight), bool)
        dies[order[: round(self.share * alive.size)]] = True
        return dies


@dataclass(frozen=True)
class Rigl:
    """`SmallestNorm` with a share that a cosine takes to 0.

        share(k) = share / 2 * (1 + cos(pi k / horizon)),   0 from k = horizon on;   constant without a horizon

    RigL, Evci et al. 2020 (ICML, section 3), which pairs it with growth by gradient magnitude; k counts rewiring steps.
    """

    share: float = 0.3
    horizon: int | None = None

    def __post_init__(self) -> None:
        SmallestNorm(self.share)

    def at(self, step: int) -> SmallestNorm:
        """The rule of rewiring step ``step``."""
        if self.horizon is None:
            return SmallestNorm(self.share)
        phase = min(step / self.horizon, 1.0) if self.horizon > 0 else 1.0
        return SmallestNorm(self.share / 2 * (1 + math.cos(math.pi * phase)))

    def __call__(self, weight: Floats) -> Flags:
        """Units to drop before any annealing."""
        return self.at(0)(weight)
