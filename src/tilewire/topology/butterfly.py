"""Butterflies of any radix: every stage mixes one digit of the index (Dao et al. 2019, Learning Fast Algorithms, for radix 2)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from tilewire.topology.digits import between, digit_stages, paired_radices
from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import Stage, Topology

RADICES = (2, 3, 4, 6, 8, 12, 16, 32, 64)


def passes_of(n_in: int, n_out: int, radix: int, orders: list[list[int]]) -> tuple[Stage, ...]:
    """Stages that mix the digits in the given orders; the first order leads from ``n_in`` to ``n_out``, later ones stay there.

    An order lists positions among the S digits and is taken modulo S; -1 is the last digit. In(i) of stage s with radix r and stride t:
    {i - d t + e t : e < r}, d = floor(i / t) mod r.
    """
    at_least("radix", radix, 2, max(n_in, n_out), "butterfly")
    ends_in, ends_out = paired_radices(n_in, n_out, radix)
    steps = [(place, ends_out[place]) for order in orders for place in order]
    return between(digit_stages(steps, ends_in), n_in, n_out)


def digit_count(n_in: int, n_out: int, radix: int) -> int:
    """Stages S of one pass."""
    return len(paired_radices(n_in, n_out, radix)[0])


def construct(n_in: int, n_out: int, radix: int = 2, passes: int = 1) -> Topology:
    """``passes`` times all S digits: full reach and, in the first pass, one path per pair. Weights r N S per pass on equal widths."""
    at_least("passes", passes, 1, 1024, "butterfly")
    order = list(range(digit_count(n_in, n_out, radix)))
    stages = passes_of(n_in, n_out, radix, [order] * passes)
    return Topology("butterfly", (stages,), f"radix {radix}, {passes} passes of {len(order)} stages")


def weights_per_pass(n_in: int, n_out: int, radix: int) -> tuple[int, int]:
    """Weights of the first and of every later pass; ghosts counted, hence an upper bound."""
    ends_in, ends_out = paired_radices(n_in, n_out, radix)
    first = sum(
        prod(ends_out[:place]) * prod(ends_in[place:]) * ends_out[place] for place in range(len(ends_in))
    )  # fmt: skip
    return first, prod(ends_out) * sum(ends_out)


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Every radix that fits, in as many passes as the budget pays, one, two and all."""
    for radix in RADICES:
        if radix <= max(n_in, n_out):
            first, later = weights_per_pass(n_in, n_out, radix)
            most = 1 + (budget - first) // later if budget >= first else 0
            for passes in sorted({1, 2, min(most, 4)} & set(range(1, most + 1))):
                yield {"radix": radix, "passes": passes}


FAMILY = Family("butterfly", "one digit of the index mixed per stage", construct, proposals)
