"""Fronts: who is dominated by nobody, how much a front is worth, where it bends. All figures are losses: less is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]
EXACT_WORK = 2_000_000  # products of the exact recursion; above it the volume is sampled
SAMPLES = 200_000


def non_dominated(losses: Losses, chunk: int = 512) -> NDArray[np.bool_]:
    """[n, m] -> [n]: rows that no other row beats (as good everywhere, better somewhere). Of equal rows the first one stays.

    Rows with a NaN are never on the front.
    """
    losses = np.asarray(losses, np.float64)
    n = len(losses)
    # Whoever dominates a row comes before it in lexicographic order. Sums will not do: rounding makes them equal.
    order = np.lexsort((np.arange(n), *losses.T[::-1]))
    kept: list[int] = []
    front = np.empty((0, losses.shape[1]))
    for start in range(0, n, chunk):
        rows = [i for i in order[start : start + chunk] if not np.isnan(losses[i]).any()]
        block = losses[rows]
        beaten = np.all(front[None] <= block[:, None], axis=2)
        alive = ~np.any(beaten, axis=1) if len(front) else np.ones(len(rows), bool)
        for i, row in zip(np.array(rows)[alive], block[alive], strict=True):
            if not len(front) or not (front <= row).all(axis=1).any():
                kept.append(int(i))
                front = np.vstack([front, row])
    found = np.zeros(n, bool)
    found[kept] = True
    return found


def hypervolume(losses: Losses, reference: Losses, rng: np.random.Generator | None = None) -> float:
    """Volume that the rows dominate below the reference point.

    Exact (sum of exclusive volumes; While, Bradstreet and Barone 2012) while that is cheap; beyond, if ``rng`` is handed in, by
    200,000 random points (standard error below 0.2 % of the box).
    """
    losses, reference = np.asarray(losses, np.float64), np.asarray(reference, np.float64)
    losses = losses[(losses < reference).all(axis=1)]
    losses = losses[non_dominated(losses)]
    if not len(losses):
        return 0.0
    n, m = losses.shape
    if rng is not None and m > 3 and float(n) ** (m - 2) > EXACT_WORK:
        return _sampled(losses, reference, rng)
    return _exact(losses[np.argsort(losses[:, 0])], reference)


def _exact(losses: Losses, reference: Losses) -> float:
    """Sum of what each row adds to the rows after it."""
    if losses.shape[1] == 1:
        return float(reference[0] - losses[:, 0].min())
    if losses.shape[1] == 2:
        losses = losses[np.lexsort((losses[:, 1], losses[:, 0]))]
        lowest = np.minimum.accumulate(np.concatenate([[reference[1]], losses[:-1, 1]]))
        return float(((reference[0] - losses[:, 0]) * np.maximum(lowest - losses[:, 1], 0)).sum())
    total = 0.0
    for i, row in enumerate(losses):
        box = float(np.prod(reference - row))
        later = np.maximum(losses[i + 1 :], row)
        later = later[non_dominated(later)] if len(later) else later
        total += box - (_exact(later, reference) if len(later) else 0.0)
    return total


def _sampled(losses: Losses, reference: Losses, rng: np.random.Generator) -> float:
    low = losses.min(axis=0)
    inside = 0
    for _ in range(0, SAMPLES, 10_000):
        points = low + (reference - low) * rng.random((10_000, len(reference)))
        inside += int((losses[None] <= points[:, None]).all(axis=2).any(axis=1).sum())
    return float(np.prod(reference - low)) * inside / SAMPLES


def spread(losses: Losses, count: int, reference: Losses) -> list[int]:
    """Up to ``count`` rows, best front first; inside a front, greedily the row that adds most volume. Deterministic.

    Every objective is measured by its range over all rows, up to the reference where that is worse, so that no row is worth nothing.
    """
    losses = np.asarray(losses, np.float64)
    left = np.flatnonzero(~np.isnan(losses).any(axis=1))
    if not len(left):
        return []
    low, high = losses[left].min(axis=0), np.maximum(losses[left].max(axis=0), np.minimum(reference, np.inf))
    unit = (losses - low) / np.where(high > low, high - low, 1.0)
    bound = np.full(losses.shape[1], 1.1)
    chosen: list[int] = []
    while len(left) and len(chosen) < count:
        front = left[non_dominated(unit[left])]
        own: list[int] = []
        candidates = list(front)
        while candidates and len(chosen) + len(own) < count:
            gains = [hypervolume(unit[[*own, i]], bound) for i in candidates]
            own.append(int(candidates.pop(int(np.argmax(gains)))))
        chosen += own
        left = np.setdiff1d(left, front)
    return chosen


def knee(losses: Losses) -> int:
    """The row of a front nearest to the ideal point, each objective measured by its range over the front."""
    losses = np.asarray(losses, np.float64)
    low, high = losses.min(axis=0), losses.max(axis=0)
    unit = (losses - low) / np.where(high > low, high - low, 1.0)
    return int(np.argmin((unit**2).sum(axis=1)))
