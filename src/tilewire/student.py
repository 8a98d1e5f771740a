"""Means of few values and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence


def interval(values: Sequence[float]) -> tuple[float, float | None, float | None, float | None]:
    """Mean, standard deviation and both ends of the 95 % interval of the mean, in the unit of the values (one or more):
    mean -+ t(0.975, n - 1) sd / sqrt(n), Student's t. One value says nothing of the spread: None.
    """
    from scipy.stats import t

    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, None, None, None
    sd = (sum((value - mean) ** 2 for value in values) / (n - 1)) ** 0.5
    half = float(t.ppf(0.975, n - 1)) * sd / n**0.5
    return mean, sd, mean - half, mean + half
