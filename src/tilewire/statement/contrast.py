"""Two cells of a sweep that differ in one thing, seed by seed: what that thing does to accuracy and to device memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

from tilewire.statement.figure import Figure
from tilewire.statement.trainings import Training
from tilewire.student import interval


@dataclass(frozen=True)
class Contrast:
    """``difference``: accuracy of the first cell less that of the second; ``ratios`` {objective: second cell over first}.

    Paired by seed over their common seeds; the difference has a mean and Student's interval, a ratio the geometric mean and
    Student's interval of the logarithms.
    """

    name: str
    cells: tuple[str, str]
    seeds: int
    difference: Figure
    ratios: dict[str, Figure]


def contrast(
    name: str, cells: Sequence[str], trainings: Sequence[Training], accuracy: str, objectives: Sequence[str]
) -> Contrast | None:
    """The contrast of two cells; None where they have no common seed. Objectives that a training lacks are left out."""
    first, second = cells
    a, b = (
        {one.seed: one.values for one in trainings if one.cell == cell and accuracy in one.values} for cell in cells
    )
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return None
    mean, _, low, high = interval([a[s][accuracy] - b[s][accuracy] for s in seeds])
    ratios = {
        objective: _ratio([(a[s], b[s]) for s in seeds], objective)
        for objective in objectives
        if all(a[s].get(objective) and b[s].get(objective) for s in seeds)
    }
    return Contrast(name, (first, second), len(seeds), Figure(mean, low, high), ratios)


def _ratio(pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]], objective: str) -> Figure:
    mean, _, low, high = interval([log(b[objective] / a[objective]) for a, b in pairs])
    return Figure(exp(mean), None if low is None else exp(low), None if high is None else exp(high))
