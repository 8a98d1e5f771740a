"""Separation: rows of the pair formulation that a fractional point violates."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
VIOLATED = 1e-3


@njit(cache=True)
def _splits(z: Floats) -> tuple[NDArray[np.int16], Floats]:
    """Greedy 2-partition rows from every ordered pair: member flags-as-list [n*n, n] (-1 ends a list), violation [n*n]."""
    n = z.shape[0]
    members = np.full((n * n, n), -1, np.int16)
    violation = np.zeros(n * n)
    gain = np.empty(n)
    for i in range(n):
        for j in range(n):
            if j == i or z[i, j] <= 1e-3:
                continue
            k, length, total = j, 0, 0.0
            gain[:] = z[i]
            gain[i] = -1.0
            while gain[k] > 1e-7:
                members[i * n + j, length] = k
                length += 1
                total += gain[k]
                gain[k] = -1.0
                best = k
                for t in range(n):
                    if gain[t] >= 0.0:
                        gain[t] -= z[k, t]
                        if gain[t] > 1e-7 and (best == k or gain[t] > gain[best]):
                            best = t
                if best == k:
                    break
                k = best
            violation[i * n + j] = total - 1.0
    return members, violation


def separate(
    z: Floats, smallest: int, limit: int
) -> tuple[list[tuple[int, tuple[int, ...]]], list[tuple[int, int, tuple[int, ...]]]]:
    """Violated rows, worst first, at most ``limit`` of each kind: splits (i, T) and companies (i, k, J) as `partition_verify` names them.

    ``z`` [neurons, neurons] is symmetric with zero diagonal; ``smallest`` is the smallest part. Splits grow greedily from every ordered
    pair; companies take the smaller of z_ij and z_kj for every j, which is exact.
    """
    n = len(z)
    members, violation = _splits(z)
    splits: dict[tuple[int, tuple[int, ...]], None] = {}
    for row in np.argsort(-violation, kind="stable"):
        if violation[row] < VIOLATED or len(splits) >= limit:
            break
        splits[int(row) // n, tuple(sorted(int(t) for t in members[row] if t >= 0))] = None
    companies: list[tuple[int, int, tuple[int, ...]]] = []
    if smallest > 2:
        shared = np.minimum(z[:, None, :], z[None, :, :]).sum(axis=2)
        lack = np.triu((smallest - 2) * z - shared, 1)
        for flat in np.argsort(-lack, axis=None, kind="stable")[:limit]:
            i, k = divmod(int(flat), n)
            if lack[i, k] < VIOLATED:
                break
            near = np.flatnonzero(z[i] <= z[k])
            companies.append((i, k, tuple(int(j) for j in near if j not in (i, k))))
    return list(splits), companies
