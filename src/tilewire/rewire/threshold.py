"""The routing-aware paper's drop rule: branches with too few strong synapses die."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tilewire.kernels.numba_rewire import strong_synapses
from tilewire.nn.initialise import AboveThreshold
from tilewire.rewire.rule import Flags, Floats, fewest


@dataclass(frozen=True)
class BranchThreshold:
    """A branch dies when too few of its synapses are strong.

        a_b = |{j : |w_bj| >= w_thr}|,   branch b dies iff a_b < k_min,   k_min = ceil(min_live * S)

    ``threshold`` = w_thr; ``min_live`` = share of the S synapses that must reach it. Weber, Ballet, Payvand 2024, public code
    (20 of 32 there, whatever its argument said).
    """

    threshold: float
    min_live: float = 0.625

    def __call__(self, weight: Floats) -> Flags:
        """Branches to drop, bool [branches], from weights [branches, S]."""
        strong = strong_synapses(weight, weight.dtype.type(self.threshold))
        return np.asarray(strong < fewest(self.min_live, weight.shape[1]))

    def born(self, shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Floats:
        """Newborn weights in an `nn.Module`: above the threshold."""
        return AboveThreshold(self.threshold)(shape, rng)
