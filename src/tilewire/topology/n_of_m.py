"""N:M sparsity: n of every m consecutive inputs, at fixed places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import ABSENT, Longs, Stage, Topology


def construct(n_in: int, n_out: int, keep: int = 0, group: int = 0) -> Topology:
    """Output i keeps, in group g of ``group`` = m inputs, the places (i + g + floor(i / m) + j) mod m for j < ``keep`` = n.

    Departure: N:M hardware stores which places are kept because training chooses them; here the formula does. A last group may be cut.
    0: half of every four.
    """
    group = group or min(4, n_in)
    keep = keep or (group + 1) // 2
    at_least("group", group, 1, n_in, "n-of-m")
    at_least("keep", keep, 1, group, "n-of-m")
    groups = -(-n_in // group)

    def inputs(i: Longs) -> Longs:
        turn = (i + i // group)[:, None, None] + np.arange(groups)[:, None] + np.arange(keep)
        found = np.arange(groups)[:, None] * group + turn % group
        return np.where(found < n_in, found, ABSENT).reshape(len(i), -1)

    stage = Stage(n_in, n_out, groups * keep, inputs, ragged=bool(n_in % group))
    return Topology("n-of-m", ((stage,),), f"{keep} of every {group} inputs")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Groups of 4, 8, 16 and 32 at the largest share the budget pays."""
    for group in (4, 8, 16, 32):
        keep = min(int(budget * group / (n_in * n_out)), group)
        if group <= n_in and keep >= 1:
            yield {"keep": keep, "group": group}


FAMILY = Family("n-of-m", "n of every m inputs", construct, proposals, even=False, full=False)
