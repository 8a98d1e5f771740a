"""The dense layer itself: what every other topology is measured against."""

from __future__ import annotations

from collections.abc import Iterator

from tilewire.topology.digits import digit_stage
from tilewire.topology.family import Family, Options
from tilewire.topology.stage import Topology


def construct(n_in: int, n_out: int) -> Topology:
    """One block of n_out x n_in."""
    return Topology("dense", ((digit_stage(n_in, n_in, n_out, 1),),), "dense")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """It, if the budget pays it."""
    if n_in * n_out <= budget:
        yield {}


FAMILY = Family("dense", "every input to every output", construct, proposals)
