"""Clos networks: input switches, m middle switches, output switches, each a dense block (Clos 1953; ClosNets, Isakov et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from tilewire.topology.digits import between, digit_stages, divisor_near
from tilewire.topology.family import Family, Options, at_least, counts_up_to
from tilewire.topology.stage import Topology


def switch_of(width: int, target: float) -> int:
    """Ports of a switch: the divisor of the width nearest to ``target``, or ``target`` (ghost ports) where none is within 2x."""
    found = divisor_near(width, target)
    return found if target / 2 <= found <= 2 * target and found < width else min(width, max(2, round(target)))


def construct(n_in: int, n_out: int, middle: int = 0, switch_in: int = 0, switch_out: int = 0) -> Topology:
    """R1 = n_in / ``switch_in`` blocks m x n1, m = ``middle`` blocks R2 x R1, R2 = n_out / ``switch_out`` blocks n2 x m.

    Middle switch q gets output q of every input switch; every pair has m paths. Weights m (n_in + R1 R2 + n_out). 0: square roots.
    """
    n1, n2 = switch_in or switch_of(n_in, n_in**0.5), switch_out or switch_of(n_out, n_out**0.5)
    m = middle or max(n1, n2)
    at_least("switch_in", n1, 1, n_in, "clos")
    at_least("switch_out", n2, 1, n_out, "clos")
    at_least("middle", m, 1, n_in * n_out, "clos")
    r1, r2 = ceil(n_in / n1), ceil(n_out / n2)
    stages = digit_stages([(0, m), (1, r2), (0, n2)], [n1, r1])
    return Topology("clos", (between(stages, n_in, n_out),), f"{r1} input, {m} middle, {r2} output switches")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Switches of about sqrt(N) / 2 ... 2 sqrt(N) ports, as many middle switches as the budget pays and half of them."""
    for scale in (0.5, 1.0, 2.0):
        n1, n2 = switch_of(n_in, scale * n_in**0.5), switch_of(n_out, scale * n_out**0.5)
        most = budget // (n_in + ceil(n_in / n1) * ceil(n_out / n2) + n_out)
        for middle in counts_up_to(min(most, max(n_in, n_out)), 2):
            yield {"middle": middle, "switch_in": n1, "switch_out": n2}


FAMILY = Family("clos", "three stages of switches", construct, proposals)
