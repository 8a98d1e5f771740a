"""Parallel butterflies with fixed skips: cross edges are trained, straight edges are wires of fixed weight."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.neighbours import dimension_count, fan_in_of, neighbour_stage, rolling_stages
from tilewire.topology.random import SKIP
from tilewire.topology.stage import Stage, Topology, folded


def construct(n_in: int, n_out: int, partners: int = 0, depth: int = 0, skip: float = SKIP) -> Topology:
    """The union form without its trainable straight edges: y = c x + W x with c = ``skip`` fixed.

    The fixed edges pin the scale of every hidden node, so each of the p N weights per stage changes the product. A stage whose widths
    differ has no skip; it trains its straight edges.
    """
    width = max(n_in, n_out)
    count = dimension_count(width)
    partners = partners or min(2, count)
    at_least("partners", partners, 1, count, "parallel-cross")
    at_least("depth", depth, 0, 4096, "parallel-cross")
    at_least("skip", skip, 0.01, 0.99, "parallel-cross")
    depth = depth or count
    stages = list(rolling_stages(width, partners, depth, straight=False, skip=skip))
    if n_in != n_out:
        uneven = {0 if n_in < width else depth - 1}
        stages = [
            _with_straight(stage, level, partners, count) if level in uneven else stage
            for level, stage in enumerate(stages)
        ]
    return Topology(
        "parallel-cross",
        (folded(tuple(stages), n_in, n_out),),
        f"{partners} partners, {depth} stages, fixed skips {skip:.2g}",
    )


def _with_straight(stage: Stage, level: int, partners: int, count: int) -> Stage:
    places = [(level * partners + q) % count for q in range(partners)]
    return neighbour_stage(stage.n_in, places, straight=True)


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """All numbers of partners: every digit once, full reach, and the deepest the budget pays up to two passes of full reach."""
    width = max(n_in, n_out)
    count = dimension_count(width)
    for partners in range(1, count + 1):
        most = int(budget / (width * fan_in_of(width, partners)))
        for depth in sorted({ceil(count / partners), count, min(most, 2 * count)} & set(range(1, most + 1))):
            yield {"partners": partners, "depth": depth}


FAMILY = Family("parallel-cross", "trained cross edges beside fixed straight ones", construct, proposals)
