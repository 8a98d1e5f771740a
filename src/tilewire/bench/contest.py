"""A contest: several ways to do the same work, and what they must agree on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _nothing() -> None:
    return None


@dataclass(frozen=True, eq=False)
class Contestant:
    """One way to do the work, ready to run.

    ``step`` is timed; ``prepare`` runs before each step and is not; ``outcome`` gives arrays of the last step that must agree
    between contestants.
    """

    step: Callable[[], object]
    outcome: Callable[[], list[NDArray[Any]]] = list
    prepare: Callable[[], object] = _nothing


@dataclass(frozen=True, eq=False)
class Contest:
    """Contestants by name, own ones in ``own``; the others are peers.

    ``exact`` names those whose outcomes must agree with the first of them within ``tolerance`` (relative L2). ``seconds`` is how long a
    single contestant may be timed; a slower one runs once.
    """

    title: str
    contestants: Mapping[str, Callable[[], Contestant]]
    own: frozenset[str]
    exact: tuple[str, ...]
    tolerance: float = 1e-5
    rounds: int = 7
    seconds: float = 10.0


def disagreement(got: list[NDArray[Any]], want: list[NDArray[Any]]) -> float:
    """Largest relative L2 distance between matching arrays; infinite if they do not match."""
    if len(got) != len(want) or any(a.shape != b.shape for a, b in zip(got, want, strict=False)):
        return float("inf")
    distances = (
        float(np.linalg.norm(a.astype(np.float64) - b)) / max(float(np.linalg.norm(b)), 1e-30)
        for a, b in zip(got, want, strict=True)
    )
    return max(distances, default=0.0)
