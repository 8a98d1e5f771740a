"""The front of a method: its cheapest accuracies, interpolated between measured cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def front_of(cost: Floats, accuracy: Floats) -> NDArray[np.int64]:
    """Cells [n] that no cheaper or equally dear cell reaches in accuracy, by rising cost."""
    order = np.lexsort((-accuracy, cost))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracy[order][:-1]]))
    return order[accuracy[order] > best]


def cost_at(cost: Floats, accuracy: Floats, wanted: float) -> float:
    """Least cost of an accuracy on the front of cells [n]: linear in log cost between neighbours of the front.

    Below the front it is the cost of its cheapest cell, above the front it is infinite: nothing is extrapolated.
    """
    front = front_of(cost, accuracy)
    if wanted > accuracy[front[-1]]:
        return float("inf")
    return float(np.exp(np.interp(wanted, accuracy[front], np.log(cost[front]))))


def accuracy_at(cost: Floats, accuracy: Floats, most: float) -> float:
    """Best accuracy that a cost buys on the front of cells [n]: the inverse of `cost_at`.

    nan below the cheapest cell of the front, flat above the dearest.
    """
    front = front_of(cost, accuracy)
    if most < cost[front[0]]:
        return float("nan")
    return float(np.interp(np.log(most), np.log(cost[front]), accuracy[front]))
