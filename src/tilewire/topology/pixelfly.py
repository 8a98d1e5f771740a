"""Pixelated butterfly: a flat block butterfly in one stage, plus a low-rank branch (Dao, Chen et al. 2022, 2112.00029)."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd

from tilewire.topology.digits import divisor_near
from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.low_rank import low_rank_stages
from tilewire.topology.neighbours import dimension_count, fan_in_of, neighbour_stage
from tilewire.topology.stage import Stage, Topology, blocked, quotient


def construct(n_in: int, n_out: int, block: int = 0, rank: int = 0) -> Topology:
    """b x b blocks at the straight edges and at all butterfly cross edges of the N / b blocks, plus a branch of ``rank`` q (0: none).

    Weights N b (1 + log2(N / b)) + 2 q N. ``block`` 0: a shared divisor near N^(1/3). The branches are summed at
    equal variance (departure: the paper learns their mixture).
    """
    b = block or divisor_near(gcd(n_in, n_out), float(min(n_in, n_out)) ** (1 / 3))
    at_least("block", b, 1, max(1, min(n_in, n_out) // 2), "pixelfly")
    at_least("rank", rank, 0, min(n_in, n_out), "pixelfly")
    blocks_in, blocks_out = ceil(n_in / b), ceil(n_out / b)
    width = max(blocks_in, blocks_out)
    flat = neighbour_stage(width, range(dimension_count(width)), straight=True)
    branches: list[tuple[Stage, ...]] = [(blocked(quotient(flat, blocks_in, blocks_out), b, n_in, n_out),)]
    if rank:
        branches.append(low_rank_stages(n_in, n_out, rank))
    return Topology("pixelfly", tuple(branches), f"blocks of {b}, rank {rank}")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Blocks of 1, 2, 4, ...; a quarter of the budget, or what the blocks leave, to the low-rank branch."""
    wide, block = max(n_in, n_out), 1
    while block <= min(n_in, n_out) // 2:
        blocks = ceil(wide / block)
        cost = int(wide * block * (1 + fan_in_of(blocks, dimension_count(blocks))))
        if cost <= budget:
            rank = (budget - cost) // (n_in + n_out)
            yield {"block": block, "rank": 0}
            if rank > 0:
                yield {"block": block, "rank": min(rank, min(n_in, n_out))}
        block *= 2


FAMILY = Family("pixelfly", "flat block butterfly plus low rank", construct, proposals, full=False)
