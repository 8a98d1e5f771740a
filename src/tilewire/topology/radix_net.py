"""RadiX-Nets: mixed-radix stages of shifts round a circle, equally many paths for every pair (Robinett, Kepner 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from tilewire.topology.family import Family, Options, at_least
from tilewire.topology.stage import Longs, Stage, Topology, folded


def shift_stage(width: int, radix: int, place: int) -> Stage:
    """In(i) = {i - j v mod N : j < r}, v = ``place``; (r - 1) v < N keeps the inputs different."""

    def inputs(i: Longs) -> Longs:
        return (i[:, None] - place * np.arange(radix)) % width

    return Stage(width, width, radix, inputs)


def places(width: int, radix: int) -> list[tuple[int, int]]:
    """(radix, place value) of one system: radix r until the last stage, which takes ceil(N / v)."""
    found, value = [], 1
    while value < width:
        own = min(radix, ceil(width / value))
        found.append((own, value))
        value *= own
    return found


def construct(n_in: int, n_out: int, radix: int = 2, systems: int = 1) -> Topology:
    """``systems`` repetitions of the place values v_l = r^l: full reach, equal path counts if the radices multiply to N.

    Any width N is allowed; where r^S exceeds N some pairs have one path more. Unequal widths fold the ends of the wider one (departure:
    the paper takes a Kronecker product with all-ones blocks).
    """
    width = max(n_in, n_out)
    at_least("radix", radix, 2, width, "radix-net")
    at_least("systems", systems, 1, 1024, "radix-net")
    stages = tuple(shift_stage(width, r, v) for r, v in places(width, radix)) * systems
    return Topology("radix-net", (folded(stages, n_in, n_out),), f"radix {radix}, {len(stages)} stages of shifts")


def proposals(n_in: int, n_out: int, budget: int) -> Iterator[Options]:
    """Radices 2 to 64, one system and as many as the budget pays."""
    width = max(n_in, n_out)
    for radix in (2, 3, 4, 6, 8, 12, 16, 32, 64):
        if radix <= width:
            most = budget // (width * sum(r for r, _ in places(width, radix)))
            for systems in sorted({1, 2} & set(range(1, most + 1))):
                yield {"radix": radix, "systems": systems}


FAMILY = Family("radix-net", "shifts by multiples of place values", construct, proposals)
