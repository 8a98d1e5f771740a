"""Proof of optimality of a partition: pair formulation, cutting planes, branch tree; every leaf carries exact multipliers.

The formulation and its rows are stated in `partition_verify`, which re-checks the result. Linear programs are solved by HiGHS through
scipy; rows are found by greedy separation and kept while they bind. All programs carry one elastic column, so that a branch without
solutions still yields multipliers that prove it.
"""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.mapping.partition_separate import separate

Floats = NDArray[np.float64]
DENOMINATOR = 1 << 24
ROUND = 300  # rows added per round
LARGEST = 128  # neurons; beyond it the linear programs no longer fit a time limit that people wait for
Row = tuple[Any, ...]
Fixed = tuple[tuple[int, int, bool], ...]


@dataclass(frozen=True)
class Proof:
    """Outcome of a search for a proof: exact lower bound on the cut, and the tree that shows it (None if nothing was shown).

    ``document`` is plain data (JSON) for `partition_verify.verify`; ``closed`` tells whether the bound reaches
    the cut that was asked about; ``better`` is a partition with a smaller cut, if one turned up on the way.
    """

    lower_bound: int
    closed: bool
    document: dict[str, Any] | None
    nodes: int
    better: NDArray[np.int32] | None = None


@dataclass(eq=False)
class _Node:
    fixed: Fixed
    bound: float
    rows: list[int]
    multipliers: list[list[int]] = field(default_factory=list)
    branch: tuple[int, int] | None = None
    children: list[_Node] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        if self.branch is None or len(self.children) < 2:
            return {"multipliers": self.multipliers}
        together, apart = (child.document() for child in self.children)
        return {"pair": list(self.branch), "together": together, "apart": apart}


class _Formulation:
    """The rows named so far and their sparse coefficients over the pairs i < j."""

    def __init__(self, weight: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        self.n, self.sizes = len(weight), sizes
        self.upper = np.triu_indices(self.n, 1)
        self.pair = np.zeros((self.n, self.n), np.int64)
        self.pair[self.upper] = np.arange(self.upper[0].size)
        self.pair += self.pair.T
        self.cost = weight[self.upper].astype(float)
        self.names: list[Row] = []
        self.index: dict[Row, int] = {}
        self.coefficients: list[tuple[NDArray[np.int64], Floats]] = []
        self.right: list[float] = []
        largest, smallest = int(sizes.max()), int(sizes.min())
        for i in range(self.n):
            others = self.pair[i, np.arange(self.n) != i]
            self.add(("most", i), others, np.ones(self.n - 1), largest - 1)
            self.add(("least", i), others, -np.ones(self.n - 1), 1 - smallest)
        total = int((sizes * (sizes - 1) // 2).sum())
        for sign in (1, -1):
            self.add(("pairs", sign), np.arange(self.cost.size), np.full(self.cost.size, float(sign)), sign * total)
        self.base = len(self.names)

    def add(self, name: Row, columns: NDArray[np.int64], values: Floats, right: float) -> int:
        if name in self.index:
            return self.index[name]
        self.index[name] = len(self.names)
        self.names.append(name)
        self.coefficients.append((columns, values))
        self.right.append(float(right))
        return len(self.names) - 1

    def add_split(self, i: int, others: tuple[int, ...]) -> int:
        t = np.array(others)
        a, b = np.triu_indices(t.size, 1)
        columns = np.concatenate([self.pair[i, t], self.pair[t[a], t[b]]])
        return self.add(("split", i, others), columns, np.repeat([1.0, -1.0], [t.size, a.size]), 1)

    def add_company(self, i: int, k: int, near: tuple[int, ...]) -> int:
        others = np.setdiff1d(np.arange(self.n), [i, k])
        mine = np.isin(others, near)
        columns = np.concatenate([[self.pair[i, k]], np.where(mine, self.pair[i, others], self.pair[k, others])])
        values = np.concatenate([[float(self.sizes.min() - 2)], -np.ones(others.size)])
        return self.add(("company", i, k, near), columns, values, 0)


def _boxes(form: _Formulation, fixed: Fixed) -> tuple[Floats, Floats] | None:
    """Lower and upper z of every pair under the branches; None if no partition obeys them."""
    low, high = np.zeros((form.n, form.n)), np.ones((form.n, form.n))
    group = np.arange(form.n)
    for i, j, together in fixed:
        if together:
            group[group == group[j]] = group[i]
    size = np.bincount(group, minlength=form.n)[group]
    if (size > form.sizes.max()).any():
        return None
    low[group[:, None] == group] = 1
    high[(group[:, None] != group) & (size[:, None] + size > form.sizes.max())] = 0
    for i, j, together in fixed:
        if not together:
            first, second = group == group[i], group == group[j]
            high[np.ix_(first, second)] = high[np.ix_(second, first)] = 0
    if (low > high).any():
        return None
    if (low == high).all():
        _, sizes = np.unique(group, return_counts=True)
        if not np.array_equal(np.sort(sizes), np.sort(form.sizes)):
            return None
    return low[form.upper], high[form.upper]


def _solve(
    form: _Formulation, rows: list[int], low: Floats, high: Floats, seconds: float
) -> tuple[Floats, Floats, Floats] | None:
    """(z, multipliers, slack) of the linear program over ``rows``; None if the time ran out."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    columns, values = zip(*(form.coefficients[row] for row in rows), strict=True)
    ptr = np.concatenate([[0], np.cumsum([part.size for part in columns])])
    pairs = form.cost.size
    matrix = csr_array((np.concatenate(values), np.concatenate(columns), ptr), shape=(len(rows), pairs + 1)).tolil()
    matrix[:, pairs] = -1.0
    elastic = 100.0 * (form.cost.sum() + 1)
    result = linprog(
        np.append(-form.cost, elastic), A_ub=matrix.tocsr(), b_ub=np.array(form.right)[rows],
        bounds=np.stack([np.append(low, 0.0), np.append(high, np.inf)], axis=1),
        method="highs-ds", options={"time_limit": max(seconds, 0.01)},
    )  # fmt: skip
    if result.status != 0:
        return None
    return result.x[:pairs], np.maximum(-result.ineqlin.marginals, 0.0), result.slack


def _exact_bound(form: _Formulation, rows: list[int], numerators: list[int], low: Floats, high: Floats) -> int:
    """The Lagrangian bound of whole-number multipliers over `DENOMINATOR`, times `DENOMINATOR`."""
    slope = -DENOMINATOR * form.cost.astype(np.int64)
    bound = DENOMINATOR * int(form.cost.sum())
    for row, numerator in zip(rows, numerators, strict=True):
        columns, values = form.coefficients[row]
        slope[columns] += numerator * values.astype(np.int64)
        bound -= numerator * int(form.right[row])
    return bound + int(np.minimum(slope * low.astype(np.int64), slope * high.astype(np.int64)).sum())


def _is_whole(z: Floats | None) -> bool:
    return z is not None and bool((np.minimum(z, 1 - z) < 1e-6).all())


class _Search:
    def __init__(self, weight: NDArray[np.int64], sizes: NDArray[np.int64], cut: int, seconds: float) -> None:
        self.form = _Formulation(weight, sizes)
        self.step = math.gcd(*weight[self.form.upper].tolist()) or 1
        self.cut, self.deadline = cut, time.monotonic() + seconds
        self.better: NDArray[np.int32] | None = None

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    def rounded(self, bound: float) -> int:
        """Smallest cut not below a bound that the synapse counts can add up to."""
        return math.ceil(bound / self.step - 1e-9) * self.step

    def bound(self, node: _Node) -> Floats | None:
        """Raise the bound of a node by rounds of cutting planes; z if it stays open, None if it is closed or time ran out."""
        form, boxes = self.form, _boxes(self.form, node.fixed)
        if boxes is None:
            node.bound = math.inf
            return None
        low, high = boxes
        rows, stalled = list(dict.fromkeys([*range(form.base), *node.rows])), 0
        z: Floats | None = None
        while self.left > 0 and (stalled < 3 or _is_whole(z)):
            solved = _solve(form, rows, low, high, self.left)
            if solved is None:
                return z
            z, multipliers, slack = solved
            numerators = np.rint(multipliers * DENOMINATOR).astype(np.int64).tolist()
            bound = _exact_bound(form, rows, numerators, low, high) / DENOMINATOR
            stalled = 0 if bound > node.bound + 0.02 else stalled + 1
            if bound >= node.bound or not node.multipliers:
                node.bound = max(bound, node.bound)
                node.multipliers = [[row, k] for row, k in zip(rows, numerators, strict=True) if k]
            if self.rounded(node.bound) >= self.cut:
                return None
            rows = [row for row, gap in zip(rows, slack, strict=True) if row < form.base or gap < 0.1]
            fresh = self.violated(z)
            if not fresh:
                break
            rows = list(dict.fromkeys(rows + fresh))
        node.rows = [row for row in rows if row >= form.base]
        return z

    def violated(self, z: Floats) -> list[int]:
        table = np.zeros((self.form.n, self.form.n))
        table[self.form.upper] = z
        splits, companies = separate(table + table.T, int(self.form.sizes.min()), ROUND)
        return [self.form.add_split(*row) for row in splits] + [self.form.add_company(*row) for row in companies]

    def branch_pair(self, z: Floats, fixed: Fixed) -> tuple[int, int] | None:
        """The most undecided pair, heavier pairs first; None if z is whole."""
        undecided = np.minimum(z, 1 - z)
        best = int(np.argmax(undecided * (1 + 0.1 * self.form.cost)))
        if undecided[best] < 1e-6:
            return None
        return int(self.form.upper[0][best]), int(self.form.upper[1][best])

    def free_pair(self, fixed: Fixed) -> tuple[int, int] | None:
        """The heaviest pair that the branches leave open."""
        boxes = _boxes(self.form, fixed)
        if boxes is None or not (boxes[0] < boxes[1]).any():
            return None
        best = int(np.argmax(np.where(boxes[0] < boxes[1], self.form.cost, -1)))
        return int(self.form.upper[0][best]), int(self.form.upper[1][best])

    def whole(self, z: Floats) -> bool:
        """Take a whole z as the new best partition; False if it is none of the asked sizes."""
        table = np.eye(self.form.n, dtype=bool)
        table[self.form.upper] = z > 0.5
        table |= table.T
        _, label, count_of = np.unique(table.argmax(axis=1), return_inverse=True, return_counts=True)
        if not np.array_equal(label[:, None] == label, table) or not np.array_equal(
            np.sort(count_of), np.sort(self.form.sizes)
        ):
            return False
        part_of = np.empty(count_of.size, np.int32)
        part_of[np.argsort(count_of, kind="stable")] = np.argsort(self.form.sizes, kind="stable")
        parts = part_of[label]
        cut = int(self.form.cost[parts[self.form.upper[0]] != parts[self.form.upper[1]]].sum())
        if cut < self.cut:
            self.cut, self.better = cut, parts
        return True

    def run(self) -> tuple[_Node, float, int]:
        """Best-first branch and bound: (root, smallest bound of a leaf, nodes)."""
        root, ticket, nodes = _Node((), 0.0, []), count(), 0
        heap: list[tuple[float, int, _Node, Floats]] = []

        def visit(node: _Node) -> None:
            z = self.bound(node)
            if z is not None and self.rounded(node.bound) < self.cut:
                heapq.heappush(heap, (node.bound, next(ticket), node, z))

        visit(root)
        leaves = [root.bound]
        while heap and self.left > 0:
            _, _, node, z = heapq.heappop(heap)
            pair = self.branch_pair(z, node.fixed)
            if pair is None:
                if self.whole(z):
                    continue
                # Whole, but parts of other sizes than asked: branch on until the sizes rule it out.
                pair = self.free_pair(node.fixed)
            if pair is None:
                continue
            node.branch = pair
            for together in (True, False):
                child = _Node((*node.fixed, (*pair, together)), node.bound, node.rows, node.multipliers)
                visit(child)
                node.children.append(child)
            nodes += 2
        leaves = _leaf_bounds(root)
        return root, min(leaves), nodes + 1


def _leaf_bounds(root: _Node) -> list[float]:
    pending, bounds = [root], []
    while pending:
        node = pending.pop()
        pending.extend(node.children)
        if not node.children:
            bounds.append(node.bound)
    return bounds


def prove(weight: NDArray[np.integer], sizes: NDArray[np.integer], cut: int, seconds: float) -> Proof:
    """Search for a proof that no partition into ``sizes`` cuts less than ``cut``.

    ``weight`` int [neurons, neurons] is symmetric with zero diagonal, w_ij = synapses between i and j in both directions. The time limit is
    kept between linear programs and passed to each of them. Above `LARGEST` neurons nothing is attempted and the bound is 0.
    """
    if cut == 0 or len(weight) > LARGEST or len(weight) < 2:
        return Proof(0, cut == 0, None, 0)
    search = _Search(np.asarray(weight, np.int64), np.asarray(sizes, np.int64), cut, seconds)
    root, bound, nodes = search.run()
    lower = search.cut if math.isinf(bound) else max(0, min(search.cut, search.rounded(bound)))
    tree, names = _used(root.document(), search.form.names)
    document = {"denominator": DENOMINATOR, "rows": names, "tree": tree}
    return Proof(lower, lower >= search.cut, document, nodes, search.better)


def _used(tree: dict[str, Any], names: list[Row]) -> tuple[dict[str, Any], list[list[Any]]]:
    """The tree with its rows renumbered to those it uses, as plain lists."""
    order: dict[int, int] = {}

    def walk(node: dict[str, Any]) -> dict[str, Any]:
        if "pair" in node:
            return node | {"together": walk(node["together"]), "apart": walk(node["apart"])}
        return {"multipliers": [[order.setdefault(row, len(order)), k] for row, k in node["multipliers"]]}

    renumbered = walk(tree)
    return renumbered, [[list(part) if isinstance(part, tuple) else part for part in names[row]] for row in order]
