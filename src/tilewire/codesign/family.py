"""Do chips that admit one profile give one accuracy? Pairs of cells of a sweep, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from tilewire.statement.trainings import Training, densities
from tilewire.student import interval

TOLERANCE = 0.02  # of a density: quotas are whole branches, so grids cannot share a profile exactly


@dataclass(frozen=True)
class Kin:
    """Two cells of one profile on different chips: accuracy of the second less that of the first over their common seeds.

    ``low95``, ``high95`` by Student's t over the paired differences, None for a single seed; they agree if the interval holds 0.
    """

    cells: tuple[str, str]
    chips: tuple[str, str]
    profile: dict[int, float]
    seeds: int
    difference: float
    low95: float | None
    high95: float | None

    @property
    def agree(self) -> bool | None:
        """None where a single seed says nothing."""
        return None if self.low95 is None or self.high95 is None else self.low95 <= 0 <= self.high95


def families(trainings: Sequence[Training], tolerance: float = TOLERANCE) -> list[Kin]:
    """All pairs of cells whose mean densities differ by at most ``tolerance`` in every hop class, on different chips.

    "A family of hardware has the same accuracy" is the claim of Weber, Ballet, Payvand (2024); agreement is not proof of equality: read
    the width of the interval.
    """
    cells: dict[str, dict[int, Training]] = {}
    for one in trainings:
        if "test_accuracy" in one.values and densities(one):
            cells.setdefault(one.cell, {})[one.seed] = one
    mean = {name: _mean([densities(one) for one in own.values()]) for name, own in cells.items()}
    return [
        _kin((a, b), cells[a], cells[b], mean[a])
        for a, b in combinations(cells, 2)
        if _chip(cells[a]) != _chip(cells[b])
        and _near(mean[a], mean[b], tolerance)
        and cells[a].keys() & cells[b].keys()
    ]


def _kin(names: tuple[str, str], a: dict[int, Training], b: dict[int, Training], profile: dict[int, float]) -> Kin:
    seeds = sorted(a.keys() & b.keys())
    difference, _, low, high = interval([b[s].values["test_accuracy"] - a[s].values["test_accuracy"] for s in seeds])
    used = {d: p for d, p in profile.items() if p > 0}
    return Kin(names, (_chip(a), _chip(b)), used, len(seeds), difference, low, high)


def _chip(own: dict[int, Training]) -> str:
    return next(iter(own.values())).chip


def _mean(found: Sequence[dict[int, float]]) -> dict[int, float]:
    return {d: sum(one.get(d, 0.0) for one in found) / len(found) for d in found[0]}


def _near(a: dict[int, float], b: dict[int, float], tolerance: float) -> bool:
    return all(abs(a.get(d, 0.0) - b.get(d, 0.0)) <= tolerance for d in a.keys() | b.keys())
