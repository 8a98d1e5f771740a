"""Benes networks: a butterfly and its mirror image, rearrangeable (Benes 1965; the BB* hierarchy of Dao et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterator

from tilewire.topology.butterfly import RADICES, digit_count, passes_of, weights_per_pass
from tilewire.topology.family import Family, Options
from tilewire.topology.stage import Topology


def construct(n_in: int, n_out: int, radix: int = 2) -> Topology:
    """Digits 0 .. S-1, then S-2 .. 0: 2 S - 1 stages, r^(S-1) paths per pair."""
    order = list(range(digit_count(n_in, n_out, radix)))
    stages = passes_of(n_in, n_out, radix, [order, order[-2::-1] if len(order) > 1 else []])
    return Topology("benes", (stages,), f"radix {radix}, {len(stages)} stages")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Every radix whose forward half fits."""
    for radix in RADICES:
        if radix <= max(n_in, n_out) and weights_per_pass(n_in, n_out, radix)[0] <= budget:
            yield {"radix": radix}


FAMILY = Family("benes", "a butterfly and back", construct, proposals)
