"""How well scores without data foretell accuracy: rank correlations in strata, bootstrap intervals, a composite tuned on other tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tilewire.compare.tables import BASELINES, CellResult

Floats = NDArray[np.float64]
Strata = list[list[CellResult]]
LEAST = 3
"""Cells that a stratum needs to say anything about order."""


@dataclass(frozen=True)
class Correlation:
    """Spearman correlation pooled over strata, its 95 % bootstrap interval, and the number of cells."""

    value: float
    low: float
    high: float
    cells: int


def strata(results: Sequence[CellResult], *, within_depth: bool) -> Strata:
    """Cells that compete for the same weights: same task, law and density, and same depth if asked. Baselines are not among them."""
    found: dict[tuple[str, str, float, int], list[CellResult]] = {}
    for one in results:
        if one.cell.topology not in BASELINES:
            depth = one.cell.depth if within_depth else -1
            found.setdefault((one.task, one.cell.law, one.cell.density, depth), []).append(one)
    return [group for group in found.values() if len(group) >= LEAST]


def ranks(values: Sequence[float]) -> Floats:
    """Ranks from -1/2 to 1/2, ties shared; all 0 where nothing differs."""
    _, place, count = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    found = (np.cumsum(count) - (count - 1) / 2)[place]
    centred: Floats = (found - found.mean()) / max(len(found) - 1, 1)
    return centred


def pooled(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """Correlation of the ranks within each stratum, all strata together; nan where one side never differs."""
    x, y = (np.concatenate([ranks(pair[side]) for pair in pairs]) for side in (0, 1))
    size = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / size) if size > 0 else float("nan")


def correlation(
    groups: Strata, foretold: Callable[[CellResult], float], rng: np.random.Generator, draws: int = 500
) -> Correlation:
    """Of accuracy with ``foretold``; the interval from resampling the cells of every stratum."""
    pairs = [([foretold(one) for one in group], [one.mean for one in group]) for group in groups]
    value, drawn = pooled(pairs) if pairs else float("nan"), []
    for _ in range(draws if pairs else 0):
        chosen = [rng.integers(0, len(x), len(x)) for x, _ in pairs]
        drawn.append(pooled([([x[i] for i in c], [y[i] for i in c]) for (x, y), c in zip(pairs, chosen, strict=True)]))
    finite = [v for v in drawn if np.isfinite(v)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite else (float("nan"), float("nan"))
    return Correlation(value, float(low), float(high), sum(len(x) for x, _ in pairs))


def ceiling(groups: Strata) -> float:
    """The correlation that a perfect score would reach: the square root of the reliability of the mean accuracies.

    Reliability from all halves of the seeds, r, stepped up to all seeds: (n / h) r / (1 + (n / h - 1) r) with halves of h of n seeds
    (Spearman 1910, Brown 1910). nan for fewer than 4 seeds.
    """
    seeds = sorted(set.intersection(*(set(one.tests) for group in groups for one in group))) if groups else []
    if len(seeds) < 4:
        return float("nan")
    half, found = len(seeds) // 2, []
    for first in combinations(seeds, half):
        second = [seed for seed in seeds if seed not in first][:half]
        sides = [([_mean(one, first) for one in group], [_mean(one, second) for one in group]) for group in groups]
        found.append(pooled(sides))
    r, longer = max(float(np.mean(found)), 0.0), len(seeds) / half
    return float(np.sqrt(longer * r / (1 + (longer - 1) * r)))


def _mean(one: CellResult, seeds: Sequence[int]) -> float:
    return sum(one.tests[seed] for seed in seeds) / len(seeds)


def parts(one: CellResult) -> dict[str, float]:
    """Logarithms of what a composite multiplies: isometry, reach, freedom C / P, evenness of paths, participation, and 1 / depth."""
    s = one.scores
    return {
        "isometry": _log(s["isometry"]),
        "reach": _log(s["reach"]),
        "freedom": _log(s["controllability"] / s["weights"]),
        "evenness": -_log(1 + s["paths_variation"] ** 2),
        "participation": _log(s["ntk_participation"]),
        "shallowness": -_log(s["depth"]),
    }


def _log(value: float) -> float:
    return float(np.log(max(value, 1e-3)))


def fit_composite(groups: Strata, ridge: float = 0.1) -> dict[str, float]:
    """Exponents of the composite prod part^exponent by ridge regression: ranks of accuracy on the parts, both centred in each stratum.

    min |y - X w|^2 + ``ridge`` n |w|^2 with the columns of X of unit variance; exponents refer to the parts themselves.
    """
    names = list(parts(groups[0][0]))
    rows, wanted = [], []
    for group in groups:
        x = np.array([[parts(one)[name] for name in names] for one in group])
        rows.append(x - x.mean(axis=0))
        wanted.append(ranks([one.mean for one in group]))
    x, y = np.vstack(rows), np.concatenate(wanted)
    scale = np.where(x.std(axis=0) > 1e-9, x.std(axis=0), np.inf)
    x = x / scale
    w = np.linalg.solve(x.T @ x + ridge * len(x) * np.eye(len(names)), x.T @ y) / scale
    return dict(zip(names, (float(v) for v in w), strict=True))


def composed(exponents: Mapping[str, float]) -> Callable[[CellResult], float]:
    """The logarithm of the composite with these exponents."""

    def value(one: CellResult) -> float:
        own = parts(one)
        return sum(exponent * own[name] for name, exponent in exponents.items())

    return value
