"""Products of random plane rotations: patterns that carry an exactly orthogonal matrix (EOI, arXiv 2406.01755)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import Longs, Stage, Topology, pad_rows, quotient, table_stage


def rotated_support(width: int, weights: int, rng: np.random.Generator) -> tuple[list[set[int]], Longs]:
    """Rotations in random planes (p, q) until the rows of their product hold ``weights`` entries or one more rotation would exceed it.

    A rotation replaces the supports of rows p and q by their union. Returns the supports [width] and the pairs [m, 2] in order.
    """
    support, pairs, held, idle = [{i} for i in range(width)], [], width, 0
    while idle < 8 * width:
        p, q = (int(v) for v in rng.choice(width, 2, replace=False))
        union = support[p] | support[q]
        grown = held + 2 * len(union) - len(support[p]) - len(support[q])
        if support[p] == support[q] or grown > weights:
            idle += 1
            continue
        support[p], support[q], held, idle = union, set(union), grown, 0
        pairs.append((p, q))
    return support, np.array(pairs, np.int64).reshape(-1, 2)


def rotated_stage(width: int, weights: int, rng: np.random.Generator) -> Stage:
    """A stage on the support of `rotated_support`."""
    support, pairs = rotated_support(width, weights, rng)
    ptr = np.concatenate(([0], np.cumsum([len(own) for own in support])))
    index = np.array([j for own in support for j in sorted(own)], np.int64)
    return table_stage(pad_rows(ptr, index), width, rotations=pairs)


def construct(n_in: int, n_out: int, rng: np.random.Generator, depth: int = 1, density: float = 0.0) -> Topology:
    """``depth`` stages of about ``density`` N^2 entries, N the wider end (0: a tenth).

    Unequal widths fold the ends, which are then not orthogonal.
    """
    width = max(n_in, n_out)
    density = density or max(0.1, 2 / width)
    at_least("depth", depth, 1, 4096, "givens")
    at_least("density", density, 1 / width, 1.0, "givens")
    stages = [rotated_stage(width, round(density * width**2), rng) for _ in range(depth)]
    stages[0] = quotient(stages[0], n_in, stages[0].n_out)
    stages[-1] = quotient(stages[-1], stages[-1].n_in, n_out)
    return Topology("givens", (tuple(stages),), f"{depth} products of plane rotations")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """One and two stages."""
    width = max(n_in, n_out)
    for depth in (1, 2):
        if width <= budget // depth <= width**2 // 2:
            yield {"depth": depth, "density": budget / depth / width**2}


FAMILY = Family("givens", "supports of random plane rotations", construct, proposals, even=False, full=False)
