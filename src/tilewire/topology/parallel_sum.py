"""Parallel butterflies in sum form: branches that mix the digits in different orders, added up."""

from __future__ import annotations

from collections.abc import Iterator

from tilewire.topology.butterfly import RADICES, digit_count, passes_of, weights_per_pass
from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import Topology


def construct(n_in: int, n_out: int, radix: int = 2, branches: int = 2, passes: int = 1) -> Topology:
    """y = B^(-1/2) sum of B butterflies; branch b starts at digit b mod S, from the S-th on in descending order. At most 2 S branches."""
    count = digit_count(n_in, n_out, radix)
    at_least("branches", branches, 1, 2 * count, "parallel-sum")
    at_least("passes", passes, 1, 1024, "parallel-sum")
    found = []
    for branch in range(branches):
        order = [(branch + step) % count for step in range(count)]
        order = order if branch < count else order[::-1]
        found.append(passes_of(n_in, n_out, radix, [order] * passes))
    return Topology("parallel-sum", tuple(found), f"{branches} butterflies of radix {radix} summed")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Two and more branches of one pass."""
    for radix in RADICES:
        if radix <= max(n_in, n_out):
            first, _ = weights_per_pass(n_in, n_out, radix)
            most = min(budget // first, 2 * digit_count(n_in, n_out, radix))
            for branches in sorted({2, 3, most} & set(range(2, most + 1))):
                yield {"radix": radix, "branches": branches}


FAMILY = Family("parallel-sum", "butterflies side by side, summed", construct, proposals)
