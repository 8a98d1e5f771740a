"""Verifier of partition proofs: exact integers, no solver, nothing shared with the code that found the proof.

z_ij = 1 if neurons i and j share a part. With w_ij synapses between i and j (both directions) the cut is sum w_ij (1 - z_ij).
Rows a z <= b that every partition into parts of the given sizes satisfies (s, S = smallest and largest size):

    most i            sum_j z_ij <= S - 1
    least i           -sum_j z_ij <= -(s - 1)
    pairs +-1         +-sum z <= +-sum_k size_k (size_k - 1) / 2
    split i, T        sum_{t in T} z_it - sum_{t < u in T} z_tu <= 1              (2-partition inequality)
    company i, k, J   (s - 2) z_ik - sum_{j in J} z_ij - sum_{j not in J} z_jk <= 0

split: if q of T are with i, they are with each other, and the left side is at most q - q(q-1)/2 <= 1. company: two neurons of one part
have at least s - 2 companions j, each with z_ij = z_jk = 1. For multipliers u >= 0 the cut is at least

    sum w - u b + sum_ij min over z_ij in [low_ij, high_ij] of (u a_ij - w_ij) z_ij,

at any leaf of a tree that branches on "i and j together" against "apart"; the smallest leaf bounds the whole.
2-partition inequalities: Groetschel and Wakabayashi, Math. Programming 47 (1990). Company rows: own derivation, above.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

from tilewire.errors import TilewireError

Pair = tuple[int, int]


class ProofError(TilewireError):
    """A proof that does not hold together."""


def _pair(i: int, j: int) -> Pair:
    return (i, j) if i < j else (j, i)


def _neuron(value: Any, n: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < n:
        raise ProofError(f"'{value}' is not a neuron of 0..{n - 1}")
    return value


def _row(cut: Sequence[Any], n: int, sizes: Sequence[int]) -> tuple[dict[Pair, int], int]:
    """Coefficients and right side of one row, built from its name alone."""
    kind = cut[0] if cut else None
    if kind in ("most", "least") and len(cut) == 2:
        i, sign = _neuron(cut[1], n), 1 if kind == "most" else -1
        bound = max(sizes) - 1 if kind == "most" else 1 - min(sizes)
        return {_pair(i, j): sign for j in range(n) if j != i}, bound
    if kind == "pairs" and len(cut) == 2 and cut[1] in (1, -1):
        total = sum(size * (size - 1) // 2 for size in sizes)
        return dict.fromkeys(combinations(range(n), 2), int(cut[1])), int(cut[1]) * total
    if kind == "split" and len(cut) == 3:
        i, others = _neuron(cut[1], n), [_neuron(t, n) for t in cut[2]]
        if len({i, *others}) != len(others) + 1:
            raise ProofError(f"split row of neuron {i} repeats a neuron")
        row = {_pair(i, t): 1 for t in others}
        return row | {_pair(t, u): -1 for t, u in combinations(others, 2)}, 1
    if kind == "company" and len(cut) == 4:
        i, k = _neuron(cut[1], n), _neuron(cut[2], n)
        if i == k or min(sizes) < 2:
            raise ProofError("company row without two neurons that can share a part")
        near = {_neuron(j, n) for j in cut[3]}
        row = {_pair(i if j in near else k, j): -1 for j in range(n) if j not in (i, k)}
        return row | {_pair(i, k): min(sizes) - 2}, 0
    raise ProofError(f"unknown row {list(cut)!r}")


def _boxes(fixed: Sequence[tuple[int, int, bool]], n: int, sizes: Sequence[int]) -> dict[Pair, int] | None:
    """z values that the branches imply, or None if no partition can obey them."""
    group, largest = list(range(n)), max(sizes)
    for i, j, together in fixed:
        if together:
            old, new = group[j], group[i]
            group = [new if g == old else g for g in group]
    apart = {_pair(group[i], group[j]) for i, j, together in fixed if not together}
    if any(a == b for a, b in apart) or any(group.count(g) > largest for g in set(group)):
        return None
    value: dict[Pair, int] = {}
    for i, j in combinations(range(n), 2):
        a, b = group[i], group[j]
        if a == b:
            value[i, j] = 1
        elif _pair(a, b) in apart or group.count(a) + group.count(b) > largest:
            value[i, j] = 0
    if len(value) == n * (n - 1) // 2 and sorted(group.count(g) for g in set(group)) != sorted(sizes):
        return None
    return value


def _leaf(leaf: Mapping[str, Any], proof: Mapping[str, Any], weight: Mapping[Pair, int], n: int,
          sizes: Sequence[int], fixed: Sequence[tuple[int, int, bool]]) -> Fraction | None:  # fmt: skip
    value = _boxes(fixed, n, sizes)
    if value is None:
        return None
    scale = proof["denominator"]
    if not isinstance(scale, int) or isinstance(scale, bool) or scale < 1:
        raise ProofError("the denominator of the multipliers is not a positive whole number")
    slope = {pair: -scale * weight.get(pair, 0) for pair in combinations(range(n), 2)}
    bound = scale * sum(weight.values())
    for index, multiplier in leaf["multipliers"]:
        if not isinstance(multiplier, int) or isinstance(multiplier, bool) or multiplier < 0:
            raise ProofError(f"multiplier '{multiplier}' is not a whole number >= 0")
        row, right = _row(proof["rows"][index], n, sizes)
        bound -= multiplier * right
        for pair, a in row.items():
            slope[pair] += multiplier * a
    bound += sum(s * value[pair] if pair in value else min(0, s) for pair, s in slope.items())
    return Fraction(bound, scale)


def verify(synapses: Sequence[tuple[int, int]], sizes: Sequence[int], proof: Mapping[str, Any]) -> int:
    """Smallest cut that ``proof`` leaves possible for splitting the neurons 0..sum(sizes)-1 into parts of exactly these sizes.

    ``synapses`` are directed (source, target) pairs without repeats or loops. ``proof`` holds ``denominator``, ``rows`` (names as
    above) and ``tree``: a leaf {"multipliers": [[row, numerator], ...]} or a branch {"pair": [i, j], "together": tree, "apart": tree}.
    All arithmetic is in whole numbers; the result is rounded up to the next value that the synapse counts can add up to.
    Raises `ProofError`.
    """
    n = sum(sizes)
    weight: dict[Pair, int] = {}
    for source, target in synapses:
        pair = _pair(_neuron(source, n), _neuron(target, n))
        weight[pair] = weight.get(pair, 0) + 1
    step = math.gcd(*weight.values()) or 1
    lowest: Fraction | None = None
    try:
        open_nodes: list[tuple[Mapping[str, Any], tuple[tuple[int, int, bool], ...]]] = [(proof["tree"], ())]
        while open_nodes:
            node, fixed = open_nodes.pop()
            if "pair" in node:
                i, j = (_neuron(index, n) for index in node["pair"])
                if i == j:
                    raise ProofError(f"the tree branches on neuron {i} with itself")
                open_nodes.append((node["together"], (*fixed, (i, j, True))))
                open_nodes.append((node["apart"], (*fixed, (i, j, False))))
                continue
            bound = _leaf(node, proof, weight, n, sizes, fixed)
            if bound is not None:
                lowest = bound if lowest is None else min(lowest, bound)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ProofError(f"malformed proof: {error!r}") from error
    if lowest is None:
        raise ProofError("the proof excludes every partition")
    return max(0, math.ceil(lowest / step) * step)
