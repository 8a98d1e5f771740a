"""Partition: neurons into parts of exact sizes with the fewest cut synapses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import NetsError, UsageError
from tilewire.mapping.partition_anneal import Ints, Longs, anneal_cut

RATE = 4_000_000  # proposals that one second of budget buys: work is counted, not clocked, so a seed repeats
EFFORT = 1 << 16  # proposals per neuron after which more time is not spent
RESTART = 20_000  # proposals per neuron-free restart of a small matrix


def synapses(matrix: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """(source, target, neurons) of a square matrix, dense or scipy.sparse: row = source, any non-zero off the diagonal is a synapse."""
    shape = tuple(int(side) for side in matrix.shape)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise NetsError(f"a partition needs a square matrix, this one is {' x '.join(map(str, shape))}")
    source, target = (np.asarray(index, np.int64) for index in matrix.nonzero())
    keep = source != target
    return source[keep], target[keep], shape[0]


def balanced(n_neurons: int, parts: int) -> Ints:
    """Sizes int32 [parts] that differ by at most one, larger parts first. Raises `UsageError` for more parts than neurons."""
    if not 1 <= parts <= n_neurons:
        raise UsageError(f"{n_neurons} neurons in {parts} parts", hint=f"1 to {n_neurons} parts")
    sizes = np.full(parts, n_neurons // parts, np.int32)
    sizes[: n_neurons % parts] += 1
    return sizes


def partition(
    matrix: Any, parts: int, *, seconds: float = 5.0, rng: np.random.Generator, sizes: Ints | None = None
) -> Ints:
    """Part of each neuron, int32 [neurons], sizes exact, few directed synapses between parts."""
    source, target, n = synapses(matrix)
    sizes = balanced(n, parts) if sizes is None else np.asarray(sizes, np.int32)
    ptr, neighbour, weight = _symmetric(source, target, n)
    budget = int(min(seconds * RATE, EFFORT * n))
    rounds = max(1, min(100, budget // RESTART)) if n <= 128 else 1
    best: Ints = np.empty(0, np.int32)
    least = np.inf
    for _ in range(rounds):
        start = rng.permutation(np.repeat(np.arange(sizes.size, dtype=np.int32), sizes))
        cut = int(np.count_nonzero(start[source] != start[target]))
        found, change = anneal_cut(
            ptr, neighbour, weight, start, sizes.size, budget // rounds, 2.0, 0.2, int(rng.integers(1 << 62))
        )
        if cut + change < least:
            best, least = found, cut + change
    return best


def _symmetric(source: NDArray[np.int64], target: NDArray[np.int64], n: int) -> tuple[Longs, Ints, Ints]:
    """CSR of w_uv = synapses between u and v, both directions, neighbours ascending."""
    key, weight = np.unique(np.concatenate([source * n + target, target * n + source]), return_counts=True)
    ptr = np.searchsorted(key, np.arange(n + 1, dtype=np.int64) * n)
    return ptr.astype(np.int64), (key % n).astype(np.int32), weight.astype(np.int32)
