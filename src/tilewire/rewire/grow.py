"""Grow rules: which of the admissible branches are born."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tilewire.connectivity import Connectivity
from tilewire.mapping.budget import BudgetState


def uniform(state: BudgetState, linked: Connectivity, wanted: int, rng: np.random.Generator) -> Connectivity:
    """Up to ``wanted`` branches, uniform among those the budget admits and ``linked`` lacks; the budget's state then holds them."""
    return state.fill(linked, wanted, rng)


GrowRule = Callable[[BudgetState, Connectivity, int, np.random.Generator], Connectivity]
GROW_RULES: dict[str, GrowRule] = {"uniform": uniform}
