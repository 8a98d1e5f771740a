"""Initial laws: the weights that crossbars and newborn branches start with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AboveThreshold:
    """Newborn weights start above the drop threshold, a grace period by construction.

        w = sign(g) (w_thr + alpha w_thr |g|),   g ~ N(0, 1)

    Law of Weber, Ballet, Payvand 2024, public code; also their initial law of the local crossbars.
    """

    threshold: float
    alpha: float = 2.0

    def __call__(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """Weights float32 of ``shape`` [branches, S]."""
        from tilewire.kernels.numba_normal import above, standard_normal

        return above(standard_normal(shape, rng), np.float32(self.threshold), np.float32(self.alpha))


@dataclass(frozen=True)
class Tiny:
    """Newborn weights too small to change a spike, as RigL has them: w = sign(g) 1e-12, g ~ N(0, 1).

    Not 0, which is the weight of a slot without a branch. Evci et al. 2020, section 3 (there exactly 0).
    """

    def __call__(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """Weights float32 of ``shape`` [branches, S]."""
        weight: NDArray[np.float32] = np.copysign(np.float32(1e-12), rng.standard_normal(shape, dtype=np.float32))
        return weight


InitialLaw = Callable[[tuple[int, int], np.random.Generator], NDArray[np.float32]]
INITIAL_LAWS: dict[str, Callable[..., InitialLaw]] = {
    "above-threshold": AboveThreshold,
    "tiny": lambda *_, **__: Tiny(),
}
"""Name -> (threshold, alpha) -> law."""
