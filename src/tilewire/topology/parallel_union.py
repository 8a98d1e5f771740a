"""Parallel butterflies in union form: each stage holds the straight edge and the cross edges of p butterfly stages at once."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.neighbours import dimension_count, fan_in_of, rolling_stages
from tilewire.topology.stage import Topology, folded


def construct(n_in: int, n_out: int, partners: int = 0, depth: int = 0) -> Topology:
    """In(i) of stage l = {i} and {i xor 2^((l p + q) mod S) : q < p}; mixed digits or a circle where the width is no power of two.

    ``partners`` p = 1 is the butterfly, S = log2 N the hypercube; 0: two. ``depth`` 0: S stages, the fewest of full reach whatever
    p is, since a stage changes one digit only; ceil(S / p) stages touch every digit once. Weights (p + 1) N per stage. Unequal widths
    fold the ends onto the wider one.
    """
    width = max(n_in, n_out)
    count = dimension_count(width)
    partners = partners or min(2, count)
    at_least("partners", partners, 1, count, "parallel-union")
    at_least("depth", depth, 0, 4096, "parallel-union")
    stages = rolling_stages(width, partners, depth or count, straight=True)
    return Topology("parallel-union", (folded(stages, n_in, n_out),), f"{partners} partners, {len(stages)} stages")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """All numbers of partners: every digit once, full reach, and the deepest the budget pays up to two passes of full reach."""
    width = max(n_in, n_out)
    count = dimension_count(width)
    for partners in range(1, count + 1):
        most = int(budget / (width * (1 + fan_in_of(width, partners))))
        for depth in sorted({ceil(count / partners), count, min(most, 2 * count)} & set(range(1, most + 1))):
            yield {"partners": partners, "depth": depth}


FAMILY = Family("parallel-union", "cross edges of several butterfly stages in one", construct, proposals)
