"""Stages that replace one digit of a mixed-radix index: the one construction behind butterflies, Benes, Clos and Monarch."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from tilewire.errors import UsageError
from tilewire.topology.stage import ABSENT, Blocks, Longs, Stage


def digit_stage(width: int, radix_in: int, radix_out: int, stride: int, skip: float = 0.0) -> Stage:
    """The stage of `Blocks` on ``width`` inputs. Raises `UsageError` unless radix times stride divides the width."""
    if min(radix_in, radix_out, stride) < 1 or width % (radix_in * stride):
        raise UsageError(f"radix {radix_in} times stride {stride} does not divide the width {width}")

    def inputs(i: Longs) -> Longs:
        high, low = i // (radix_out * stride), i % stride
        return (high * (radix_in * stride) + low)[:, None] + stride * np.arange(radix_in)

    blocks = Blocks(radix_in, radix_out, stride)
    return Stage(width, width // radix_in * radix_out, radix_in, inputs, blocks, skip=skip)


def digit_stages(steps: Sequence[tuple[int, int]], digits: Sequence[int]) -> tuple[Stage, ...]:
    """A cascade on numbers with ``digits`` (least significant first): step (p, r) replaces digit p by one of size r."""
    sizes, stages = list(digits), []
    for place, radix in steps:
        stages.append(digit_stage(prod(sizes), sizes[place], radix, prod(sizes[:place])))
        sizes[place] = radix
    return tuple(stages)


def between(stages: tuple[Stage, ...], n_in: int, n_out: int) -> tuple[Stage, ...]:
    """A cascade between smaller widths: the missing inputs and outputs are ghosts, spread evenly, and only live edges count."""
    first, last = stages[0], stages[-1]
    if len(stages) == 1:
        return (_without_ghosts(first, n_in, n_out),)
    return (_without_ghosts(first, n_in, first.n_out), *stages[1:-1], _without_ghosts(last, last.n_in, n_out))


def _without_ghosts(stage: Stage, n_in: int, n_out: int) -> Stage:
    if (n_in, n_out) == (stage.n_in, stage.n_out):
        return stage
    wide_in, wide_out = stage.n_in, stage.n_out

    def inputs(i: Longs) -> Longs:
        place = stage.inputs(i * wide_out // n_out)
        live = -(-place * n_in // wide_in)  # the only input that can sit at this place
        return np.where((live < n_in) & (live * wide_in // n_in == place), live, ABSENT)

    ragged = stage.ragged or n_in != wide_in
    return Stage(n_in, n_out, stage.fan_in, inputs, ragged=ragged, stored=stage.stored)


def prime_factors(n: int) -> list[int]:
    """Prime factors, descending."""
    found, p = [], 2
    while p * p <= n:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return sorted([*found, n] if n > 1 else found, reverse=True)


def radices_of(n: int, radix: int) -> list[int]:
    """Radices near ``radix`` with the smallest product >= n, descending.

    Exact where the prime factors of n are at most 7 or 2 ``radix``: they are packed into factors of at most ``radix`` (first fit).
    Otherwise the smallest product >= n of factors b and b + 1, b <= ``radix``, in the fewest stages; what exceeds n are ghosts.
    """
    primes = prime_factors(n)
    if primes[0] <= max(2 * radix, 7):
        bins: list[int] = []
        for p in primes:
            fitting = next((index for index, held in enumerate(bins) if held * p <= radix), None)
            if fitting is None:
                bins.append(p)
            else:
                bins[fitting] *= p
        return sorted(bins, reverse=True)
    stages = next(count for count in range(1, n.bit_length() + 1) if (radix + 1) ** count >= n)
    base = next(b for b in range(radix, 0, -1) if b**stages < n)
    wide = next(w for w in range(stages + 1) if base ** (stages - w) * (base + 1) ** w >= n)
    return [base + 1] * wide + [base] * (stages - wide)


def paired_radices(n_in: int, n_out: int, radix: int) -> tuple[list[int], list[int]]:
    """Radices of both ends in equal number: the longer list has its smallest members multiplied until it is as short."""
    ends = radices_of(n_in, radix), radices_of(n_out, radix)
    for end in ends:
        while len(end) > min(map(len, ends)):
            smallest = end.pop() * end.pop()
            end.append(smallest)
            end.sort(reverse=True)
    return ends


def divisor_near(n: int, target: float) -> int:
    """The divisor of n closest to ``target`` on a logarithmic scale."""
    divisors = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    divisors += [n // d for d in divisors]
    return min(divisors, key=lambda d: (abs(np.log(d / max(target, 1e-9))), d))
