"""Hypercubes: every stage joins an index to all indices one digit away."""

from __future__ import annotations

from collections.abc import Iterator

from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.neighbours import dimension_count, fan_in_of, rolling_stages
from tilewire.topology.stage import Topology, folded


def construct(n_in: int, n_out: int, depth: int = 0, straight: int = 1) -> Topology:
    """In(i) = ({i} if ``straight``) and {i xor 2^b : b < log2 N}; ``depth`` 0: log2 N stages, the fewest of full reach."""
    width = max(n_in, n_out)
    count = dimension_count(width)
    at_least("depth", depth, 0, 4096, "hypercube")
    at_least("straight", straight, 0, 1, "hypercube")
    stages = rolling_stages(width, count, depth or count, straight=bool(straight))
    return Topology("hypercube", (folded(stages, n_in, n_out),), f"{count} dimensions, {len(stages)} stages")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """The deepest one the budget pays."""
    width = max(n_in, n_out)
    depth = int(budget / (width * (1 + fan_in_of(width, dimension_count(width)))))
    if depth:
        yield {"depth": min(depth, 2 * dimension_count(width))}


FAMILY = Family("hypercube", "all indices one digit away", construct, proposals)
