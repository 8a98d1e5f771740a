"""Monarch matrices: two block-diagonal factors with a transpose permutation between (Dao et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from tilewire.topology.clos import switch_of
from tilewire.topology.digits import between, digit_stages
from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import Topology


def construct(n_in: int, n_out: int, block: int = 0, middle: int = 0) -> Topology:
    """R = n_in / ``block`` blocks h x ``block``, then h = ``middle`` blocks (n_out / h) x R: one path per pair.

    Weights h n_in + R n_out, 2 N^1.5 at block = h = sqrt(N). 0: square roots. The interface is h R wide.
    """
    n1, h = block or switch_of(n_in, n_in**0.5), middle or switch_of(n_out, n_out**0.5)
    at_least("block", n1, 1, n_in, "monarch")
    at_least("middle", h, 1, n_out, "monarch")
    blocks = ceil(n_in / n1)
    stages = digit_stages([(0, h), (1, ceil(n_out / h))], [n1, blocks])
    return Topology("monarch", (between(stages, n_in, n_out),), f"{blocks} blocks, then {h}")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Blocks from sqrt(N) / 4 to 4 sqrt(N) on both sides."""
    seen = set()
    for scale in (0.25, 0.5, 1.0, 2.0, 4.0):
        n1 = switch_of(n_in, scale * n_in**0.5)
        for other in (0.5, 1.0, 2.0):
            h = switch_of(n_out, other * scale * n_out**0.5)
            if h * n_in + ceil(n_in / n1) * n_out <= budget and (n1, h) not in seen and h <= n_out:
                seen.add((n1, h))
                yield {"block": n1, "middle": h}


FAMILY = Family("monarch", "two block-diagonal factors", construct, proposals)
