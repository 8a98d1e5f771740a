"""The table of topologies: name -> family; and members that fill a budget."""

from __future__ import annotations

import numpy as np

from tilewire.errors import BudgetError, UsageError, unknown
from tilewire.topology import (
    benes,
    block_random,
    butterfly,
    clos,
    dense,
    givens,
    hypercube,
    low_rank,
    monarch,
    n_of_m,
    parallel_cross,
    parallel_sum,
    parallel_union,
    pixelfly,
    radix_net,
    random,
    small_world,
    torus,
    uniform,
)  # fmt: skip
from tilewire.topology.family import Family
from tilewire.topology.stage import Topology

TOPOLOGIES: dict[str, Family] = {
    "dense": dense.FAMILY,
    "random": random.FAMILY,
    "uniform": uniform.FAMILY,
    "butterfly": butterfly.FAMILY,
    "benes": benes.FAMILY,
    "parallel-sum": parallel_sum.FAMILY,
    "parallel-union": parallel_union.FAMILY,
    "parallel-cross": parallel_cross.FAMILY,
    "hypercube": hypercube.FAMILY,
    "torus-1d": torus.RING,
    "torus-2d": torus.TORUS,
    "clos": clos.FAMILY,
    "monarch": monarch.FAMILY,
    "radix-net": radix_net.FAMILY,
    "pixelfly": pixelfly.FAMILY,
    "low-rank": low_rank.FAMILY,
    "small-world": small_world.FAMILY,
    "n-of-m": n_of_m.FAMILY,
    "block": block_random.FAMILY,
    "givens": givens.FAMILY,
}
"""Name -> family; a new topology is one file and one line."""


def family(name: str) -> Family:
    """The family of a name. Raises `UsageError` with the nearest known one."""
    if name not in TOPOLOGIES:
        raise UsageError(unknown("topology", name, TOPOLOGIES), where="topology")
    return TOPOLOGIES[name]


def budget_of(n_in: int, n_out: int, *, budget: int | None = None, density: float | None = None) -> int:
    """A budget in weights, given as such or as a density in (0, 1]. Raises `BudgetError` below one edge per neuron and above the dense
    layer, `UsageError` for widths below 2 and for neither or both.
    """
    if min(n_in, n_out) < 2:
        raise UsageError(
            f"widths {n_in} -> {n_out}", where="budget", hint="a sparse topology needs widths of at least 2"
        )
    if (budget is None) == (density is None):
        raise UsageError("give either a budget in weights or a density", where="budget")
    least, most = max(n_in, n_out), n_in * n_out
    if density is not None and not 0 < density <= 1:
        valid = least / most if not density > 0 else 1.0
        raise BudgetError(f"density {density:g}, limits 0 < density <= 1", where="budget", hint=f"density {valid:.3g}")
    weights = int(density * most + 1e-9) if density is not None else int(budget or 0)
    if weights < least:
        raise BudgetError(
            f"{weights} weights for {n_in} -> {n_out}: below one edge per neuron, {least}",
            where="budget",
            hint=f"budget {least} or density {least / most:.3g}",
        )
    return weights


def members(name: str, n_in: int, n_out: int, budget: int, rng: np.random.Generator) -> list[Topology]:
    """The proposed members of a family that the budget pays, largest first."""
    own, found = family(name), []
    for options in own.proposals(n_in, n_out, budget):
        member = own(n_in, n_out, rng, **options)
        if member.weights <= budget:
            found.append(member)
    return sorted(found, key=lambda member: -member.weights)


def fill(name: str, n_in: int, n_out: int, budget: int, rng: np.random.Generator) -> Topology:
    """The largest member of a family that the budget pays; among equal ones the shallowest, then the one proposed first.

    Raises `BudgetError` if there is none, naming the families that have one.
    """
    found = members(name, n_in, n_out, budget, rng)
    if not found:
        fitting = [other for other in TOPOLOGIES if other != name and members(other, n_in, n_out, budget, rng)]
        raise BudgetError(
            f"no member of '{name}' joins {n_in} -> {n_out} within {budget} weights", where="budget",
            hint=f"a larger budget, or {', '.join(fitting) if fitting else 'other widths'}",
        )  # fmt: skip
    largest = found[0].weights
    return min((member for member in found if member.weights >= 0.9 * largest), key=lambda member: member.depth)
