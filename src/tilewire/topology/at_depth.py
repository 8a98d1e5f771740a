"""Members of a family with an exact depth under a budget: what a fair comparison at equal depth and equal weights needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tilewire.errors import UsageError
from tilewire.topology.butterfly import digit_count, weights_per_pass
from tilewire.topology.clos import proposals as clos_proposals
from tilewire.topology.digits import divisor_near
from tilewire.topology.family import Options
from tilewire.topology.neighbours import dimension_count, fan_in_of
from tilewire.topology.radix_net import places
from tilewire.topology.random import widths
from tilewire.topology.stage import Topology
from tilewire.topology.table import family

Proposals = Callable[[int, int, int, int], Iterable[Options]]


def _radices(n_in: int, n_out: int) -> list[int]:
    """One radix per different number of digits and weights."""
    found: dict[tuple[int, int], int] = {}
    for radix in range(2, min(64, max(n_in, n_out)) + 1):
        found.setdefault((digit_count(n_in, n_out, radix), weights_per_pass(n_in, n_out, radix)[0]), radix)
    return list(found.values())


def _butterfly(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    for radix in _radices(n_in, n_out):
        passes, rest = divmod(depth, digit_count(n_in, n_out, radix))
        first, later = weights_per_pass(n_in, n_out, radix)
        if passes and not rest and first + (passes - 1) * later <= 2 * budget:  # ghosts are counted: an upper bound
            yield {"radix": radix, "passes": passes}


def _parallel_sum(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    for options in _butterfly(n_in, n_out, budget, depth):
        radix = int(options["radix"])
        first, later = weights_per_pass(n_in, n_out, radix)
        most = min(2 * budget // (first + (int(options["passes"]) - 1) * later), 2 * digit_count(n_in, n_out, radix))
        yield from ({**options, "branches": branches} for branches in range(2, most + 1))


def _benes(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    for radix in _radices(n_in, n_out):
        if 2 * digit_count(n_in, n_out, radix) - 1 == depth:
            yield {"radix": radix}


def _radix_net(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    width = max(n_in, n_out)
    for radix in range(2, min(64, width) + 1):
        systems, rest = divmod(depth, len(places(width, radix)))
        if systems and not rest:
            yield {"radix": radix, "systems": systems}


def _partners(straight: int) -> Proposals:
    def proposals(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
        width = max(n_in, n_out)
        for partners in range(1, dimension_count(width) + 1):
            if depth * width * (straight + fan_in_of(width, partners)) <= 1.2 * budget:  # a mean over the digits
                yield {"partners": partners, "depth": depth}

    return proposals


def _random(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    ends = widths(n_in, n_out, depth)
    k = int(budget / sum((a * b) ** 0.5 for a, b in itertools.pairwise(ends)))
    for fan in (k, k - 1):
        if 1 <= fan <= max(n_in, n_out):
            yield {"depth": depth, "fan_in": fan}


def _ring(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    width = max(n_in, n_out)
    halo = min((budget // (depth * width) - 1) // 2, (width - 1) // 2)
    if halo >= 1:
        yield {"halo": halo, "depth": depth}


def _monarch(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    if depth != 2:
        return
    blocks = sorted({divisor_near(n_in, n_in**share) for share in np.linspace(0.2, 0.8, 13)})
    for block in blocks:
        most = min((budget - n_in // block * n_out) // n_in, n_out)
        for middle in range(1, most + 1):
            if middle > most - 4 or n_out % middle == 0:
                yield {"block": block, "middle": middle}


def _clos(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    yield from clos_proposals(n_in, n_out, budget) if depth == 3 else ()


def _low_rank(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    if depth == 2 and budget >= n_in + n_out:
        yield {"rank": min(budget // (n_in + n_out), n_in, n_out)}


def _uniform(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    ends = widths(n_in, n_out, depth)
    if depth <= budget <= sum(a * b for a, b in itertools.pairwise(ends)):
        yield {"depth": depth, "weights": budget}


def _deep(n_in: int, n_out: int, budget: int, depth: int) -> Iterator[Options]:
    yield {"depth": depth}


AT_DEPTH: dict[str, Proposals] = {
    "random": _random, "uniform": _uniform, "butterfly": _butterfly, "benes": _benes, "parallel-sum": _parallel_sum,
    "parallel-union": _partners(1), "parallel-cross": _partners(0), "hypercube": _deep, "torus-1d": _ring, "torus-2d": _deep,
    "clos": _clos, "monarch": _monarch, "radix-net": _radix_net, "low-rank": _low_rank,
}  # fmt: skip
"""Name -> options of the members near a budget at a depth; families that are not listed propose what they always do."""


def at_depth(
    name: str, n_in: int, n_out: int, budget: int, depth: int, rng: np.random.Generator, **fixed: int | float
) -> Topology | None:
    """The largest member of a family with exactly ``depth`` stages (0: any) and at most ``budget`` weights; None if there is none.

    ``fixed``: options that every member must have. Raises `UsageError` for an unknown family or option.
    """
    own, best = family(name), None
    unknown = sorted(set(fixed) - set(own.options))
    if unknown:
        raise UsageError(f"unknown option '{unknown[0]}'", where=name, hint=", ".join(own.options) or "none")
    proposed = (
        AT_DEPTH[name](n_in, n_out, budget, depth) if depth and name in AT_DEPTH else own.proposals(n_in, n_out, budget)
    )
    for options in proposed:
        try:
            member = own(n_in, n_out, rng, **{**options, **fixed})
        except UsageError:
            continue  # widths that this family does not join
        fits = member.weights <= budget and (not depth or member.depth == depth)
        if fits and (best is None or member.weights > best.weights):
            best = member
    return best
