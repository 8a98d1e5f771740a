"""Drop rules: which branches die."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BranchThreshold:
    """A branch dies when too few of its synapses are strong.

        a_b = |{j : |w_bj| >= w_thr}|,   branch b dies iff a_b < k_min,   k_min = ceil(min_live * S)

    ``threshold`` = w_thr; ``min_live`` = share of the S synapses that must reach it. Weber, Ballet, Payvand 2024, public code
    (20 of 32 there, whatever its argument said).
    """

    threshold: float
    min_live: float = 0.625

    def __call__(self, weight: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Branches to drop, bool [branches], from weights [branches, S]."""
        strong = (np.abs(weight) >= self.threshold).sum(axis=1)
        needed = np.ceil(np.round(self.min_live * weight.shape[1], 9))  # .07 * 100 is 7, whatever binary fractions say
        return np.asarray(strong < needed)


DropRule = Callable[[NDArray[np.float32]], NDArray[np.bool_]]
DROP_RULES: dict[str, Callable[..., DropRule]] = {"branch-threshold": BranchThreshold}
