"""Low rank: two dense factors with q nodes between."""

from __future__ import annotations

from collections.abc import Iterator

from tilewire.topology.digits import digit_stages
from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import Stage, Topology


def low_rank_stages(n_in: int, n_out: int, rank: int) -> tuple[Stage, ...]:
    """W = U V: n_in -> q -> n_out, both dense."""
    return digit_stages([(0, rank), (0, n_out)], [n_in])


def construct(n_in: int, n_out: int, rank: int = 0) -> Topology:
    """Weights q (n_in + n_out); the interface of q nodes is a bottleneck. 0: a quarter of the narrower width."""
    q = rank or max(1, min(n_in, n_out) // 4)
    at_least("rank", q, 1, min(n_in, n_out), "low-rank")
    return Topology("low-rank", (low_rank_stages(n_in, n_out, q),), f"rank {q}")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """The largest rank the budget pays."""
    rank = min(budget // (n_in + n_out), min(n_in, n_out))
    if rank:
        yield {"rank": rank}


FAMILY = Family("low-rank", "two dense factors", construct, proposals)
