"""HiGHS on the whole pair formulation, in a child process: the answer where no certificate was found in time, taken at its word.

With z_ij = 1 if neurons i and j share a part and s, S the smallest and largest size:

    find z binary:   sum w_ij (1 - z_ij) <= cut - step,   z_ij + z_jk - z_ik <= 1 for every triple, both ways round,
                     s - 1 <= sum_j z_ij <= S - 1,   sum z = sum_k size_k (size_k - 1) / 2

has no solution if no partition of these sizes cuts less than ``cut``. Formulation: Groetschel and Wakabayashi, Math. Programming 47 (1990).
"""

from __future__ import annotations

import math
import sys
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tilewire.mapping.partition_native import NativeError, run_child

LARGEST = 48  # neurons: three rows per triple
GRACE = 5.0  # seconds beyond its own limit after which the child is ended


def no_smaller_cut(
    weight: NDArray[np.int64], sizes: NDArray[np.int64], cut: int, seconds: float, command: list[str] | None = None
) -> bool:
    """Whether HiGHS says that no partition into ``sizes`` cuts less than ``cut``; False if it found one or ran out of time.

    ``weight`` int64 [neurons, neurons] is symmetric with zero diagonal. ``command`` replaces the child (the paths of problem and answer
    are appended). Raises `NativeError` if the child crashes, hangs or leaves no answer.
    """
    with tempfile.TemporaryDirectory(prefix="tilewire-") as folder:
        question, answer = Path(folder) / "problem.npz", Path(folder) / "answer.npy"
        np.savez(question, weight=weight, sizes=sizes, cut=np.array(cut), seconds=np.array(seconds))
        child = [sys.executable, "-m", "tilewire.mapping.partition_solver"] if command is None else command
        run_child([*child, str(question), str(answer)], seconds + GRACE, "HiGHS")
        try:
            return bool(np.load(answer, allow_pickle=False) == 1)
        except (OSError, ValueError) as error:
            raise NativeError(f"HiGHS left no readable answer: {error}") from error


def _infeasible(weight: NDArray[np.int64], sizes: NDArray[np.int64], cut: int, seconds: float) -> bool:
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    n = len(weight)
    upper = np.triu_indices(n, 1)
    cost, pairs = weight[upper].astype(float), upper[0].size
    index = np.zeros((n, n), np.int64)
    index[upper] = np.arange(pairs)
    index += index.T
    step = math.gcd(*weight[upper].tolist()) or 1
    triple = np.array(list(combinations(range(n), 3)), np.int64).reshape(-1, 3)
    sides = np.stack([index[triple[:, a], triple[:, b]] for a, b in ((0, 1), (1, 2), (0, 2))], axis=1)
    columns = np.concatenate([sides, np.roll(sides, 1, axis=1), np.roll(sides, 2, axis=1)])
    rows = np.arange(len(columns)).repeat(3)
    triangles = csr_array(
        (np.tile([1.0, 1.0, -1.0], len(columns)), (rows, columns.ravel())), shape=(len(columns), pairs)
    )
    degree = csr_array(
        (np.ones(2 * pairs), (np.concatenate(upper), np.tile(np.arange(pairs), 2))), shape=(n, pairs)
    )  # fmt: skip
    total = float((sizes * (sizes - 1) // 2).sum())
    constraints = [
        LinearConstraint(triangles, -np.inf, 1.0),
        LinearConstraint(degree, float(sizes.min() - 1), float(sizes.max() - 1)),
        LinearConstraint(np.ones((1, pairs)), total, total),
        LinearConstraint(cost[None, :], cost.sum() - cut + step, np.inf),
    ]
    found = milp(
        -cost, constraints=constraints, bounds=Bounds(0, 1), integrality=np.ones(pairs), options={"time_limit": seconds}
    )
    return bool(found.status == 2)


def _child(question: Path, answer: Path) -> None:
    with np.load(question, allow_pickle=False) as given:
        problem = dict(given)
    closed = _infeasible(problem["weight"], problem["sizes"], int(problem["cut"]), float(problem["seconds"]))
    np.save(answer, np.array(int(closed)), allow_pickle=False)


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
