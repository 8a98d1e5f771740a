"""Bootstrap over seeds: all resamples where they can be listed, percentiles widened for few seeds."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import comb, factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVEL = 0.95
LEAST_SEEDS = 5  # the range of n values misses the mean in 2 of 2^n symmetric samples: fewer seeds cannot show 95 %
LISTED = 10_000  # resamples; up to 8 seeds have fewer, so that no random number is needed
DRAWS = 4_000


def resamples(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """How often each of n seeds is drawn in n draws with replacement, [r, n] as shares, and the probability of each row [r].

    All C(2n - 1, n) multisets with their multinomial probabilities n! / (prod k_i! n^n) while they are at most 10,000; 4,000 random
    ones of equal probability beyond.
    """
    if comb(2 * n - 1, n) > LISTED:
        return rng.multinomial(n, [1 / n] * n, size=DRAWS) / n, np.full(DRAWS, 1 / DRAWS)
    count = np.array([np.bincount(drawn, minlength=n) for drawn in combinations_with_replacement(range(n), n)])
    orders = np.array([factorial(k) for k in range(n + 1)], float)[count].prod(axis=1)
    return count / n, factorial(n) / (orders * float(n) ** n)


def tail(n: int) -> float:
    """Probability left out on each side: Phi(-sqrt(n / (n - 1)) t_{n-1}), t the quantile of 97.5 %.

    The expanded percentile interval (Hesterberg 2015, The American Statistician 69:371, section 4.1): plain percentiles of a
    bootstrap over n values are too narrow by sqrt((n - 1) / n), and normal where Student's t is due.
    """
    from scipy.stats import norm, t

    return float(norm.cdf(-((n / (n - 1)) ** 0.5) * t.ppf((1 + LEVEL) / 2, n - 1)))


def interval(values: Floats, probability: Floats, n: int) -> tuple[float | None, float | None]:
    """95 % interval of a figure from its values [r] over the resamples of n seeds.

    A nan (a resample in which the figure means nothing) is left out; an infinite end, or fewer than 5 seeds, gives None.
    """
    kept = ~np.isnan(values)
    if n < LEAST_SEEDS or not kept.any():
        return None, None
    order = np.argsort(values[kept], kind="stable")
    ordered, weight = values[kept][order], probability[kept][order]
    share = np.cumsum(weight) / weight.sum()
    alpha = tail(n)
    low, high = (ordered[min(int(np.searchsorted(share, q - 1e-12)), len(ordered) - 1)] for q in (alpha, 1 - alpha))
    return (float(low) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)
