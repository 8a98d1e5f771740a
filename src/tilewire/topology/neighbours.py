"""Stages that join an index to its neighbours: those that differ in one digit, or that lie a power of two further round a circle."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tilewire.topology.digits import prime_factors
from tilewire.topology.stage import Longs, Stage

LARGEST_PRIME = 5


def dimensions(width: int) -> tuple[int, ...]:
    """Radices of the index, least significant first, where the prime factors are at most 5; else () and `dimension_count` says how many
    powers of two lead round the circle.
    """
    primes = prime_factors(width)
    return tuple(reversed(primes)) if primes[0] <= LARGEST_PRIME else ()


def dimension_count(width: int) -> int:
    """Directions S in which an index has neighbours."""
    return len(dimensions(width)) or (width - 1).bit_length()


def neighbour_stage(width: int, places: Sequence[int], *, straight: bool, skip: float = 0.0) -> Stage:
    """In(i) = {i} (if ``straight``) and all j that differ from i in exactly one of the digits ``places`` (xor 2^p for radix 2).

    Widths with large primes have no digits; there In(i) = {i + 2^p mod width}, which reaches every index in as many steps.
    """
    radices = dimensions(width)
    offsets = [(place, step) for place in places for step in range(1, radices[place] if radices else 2)]

    def inputs(i: Longs) -> Longs:
        columns = [i] if straight else []
        for place, step in offsets:
            if radices:
                stride = prod(radices[:place])
                digit = i // stride % radices[place]
                columns.append(i + ((digit + step) % radices[place] - digit) * stride)
            else:
                columns.append((i + (1 << place)) % width)
        return np.stack(columns, axis=1)

    return Stage(width, width, straight + len(offsets), inputs, skip=skip)


def rolling_stages(width: int, partners: int, depth: int, *, straight: bool, skip: float = 0.0) -> tuple[Stage, ...]:
    """Stage l joins the digits (l p + q) mod S for q < p = ``partners``."""
    count = dimension_count(width)
    places = [[(level * partners + q) % count for q in range(partners)] for level in range(depth)]
    return tuple(neighbour_stage(width, own, straight=straight, skip=skip) for own in places)


def fan_in_of(width: int, partners: int) -> float:
    """Mean number of neighbours in ``partners`` digits."""
    radices = dimensions(width)
    return partners * (sum(r - 1 for r in radices) / len(radices) if radices else 1.0)
