"""How many units each layer keeps: exact totals, no layer left without any."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilewire.errors import UsageError

Shape = Sequence[int]


def erdos_renyi_kernel(shape: Shape) -> float:
    """Relative density of a weight [out, in, taps...]: (out + in + taps) / (out * in * taps).

    Mocanu et al. 2018 for dense layers, Evci et al. 2020 for kernels.
    """
    return float(sum(shape) / np.prod(shape))


def even(shape: Shape) -> float:
    """The same density in all layers."""
    return 1.0


SPLITS: dict[str, Callable[[Shape], float]] = {"uniform": even, "erk": erdos_renyi_kernel}
"""Split name -> relative density of a layer from the shape of its weight."""


def split(total: int, weight: ArrayLike, size: ArrayLike) -> NDArray[np.int64]:
    """Shares of ``total`` in proportion to ``weight``, each at least 1 and at most its ``size``; they sum to ``total`` exactly.

        t_l = min(max(c w_l, 1), n_l) with c such that sum t_l = total, then rounded by largest remainder (ties: first layer)

    Raises `UsageError` if ``total`` is below one per layer or above the sum of the sizes.
    """
    wish, most = np.asarray(weight, np.float64), np.asarray(size, np.int64)
    if not most.size <= total <= most.sum():
        raise UsageError(
            f"{total} live units for {most.size} layers of {int(most.sum())} units",
            hint="at least one a layer: a higher density; at most all",
        )
    low, high = 0.0, float((most / wish).max())
    for _ in range(200):  # a float64 has no further middle by then
        scale = (low + high) / 2
        if np.clip(scale * wish, 1, most).sum() < total:
            low = scale
        else:
            high = scale
    target = np.clip(high * wish, 1, most)
    share = np.floor(target).astype(np.int64)
    remainder = np.where(share < most, target - share, -1.0)
    share[np.argsort(-remainder, kind="stable")[: total - int(share.sum())]] += 1
    return share
