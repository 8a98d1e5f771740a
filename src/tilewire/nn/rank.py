"""Search over all families, depths, radices, branches and skips under a budget of weights: designs in order of a composite score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tilewire.errors import BudgetError
from tilewire.hardware.fabric import TileFabric
from tilewire.nn.initialise_sparse import drawn_values, initial_values, is_scale_free
from tilewire.nn.score import SCORES, Case, score
from tilewire.topology.stage import Topology
from tilewire.topology.table import TOPOLOGIES, budget_of, members

DRAWN, FIXED = ("isometry",), ("reach", "controllability", "paths_variation")
WEIGHTS: dict[str, float] = {"isometry": 0.5, "reach": 0.25, "freedom": 0.25, "evenness": 0.125}
"""Exponents of the composite. Chosen, not fitted: isometry leads because it alone followed accuracy across depths."""


@dataclass(frozen=True, eq=False)
class Design:
    """A topology under a budget, its scores (means over seeds) and their composite."""

    topology: Topology
    scores: dict[str, float | None]
    composite: float


def composite(scores: Mapping[str, float | None], budget: int, pairs: int) -> float:
    """isometry^0.5 reach^0.25 freedom^0.25 evenness^0.125 in 0..1.

    freedom = controllability / min(budget, n_in n_out), evenness = 1 / (1 + variation^2) of the path counts.
    """
    variation = scores["paths_variation"] or 0.0
    parts = {
        "isometry": scores["isometry"] or 0.0,
        "reach": scores["reach"] or 0.0,
        "freedom": (scores["controllability"] or 0.0) / min(budget, pairs),
        "evenness": 1 / (1 + variation**2),
    }
    return float(np.prod([min(parts[name], 1.0) ** exponent for name, exponent in WEIGHTS.items()]))


def rank(
    n_in: int, n_out: int, budget: int, *, seed: int = 0, seeds: int = 2, law: str = "auto", families: Sequence[str] | None = None,
    fabric: TileFabric | None = None, progress: Callable[[Design], None] | None = None,
) -> list[Design]:  # fmt: skip
    """Designs of at most ``budget`` weights, best first; of members that differ only in what does not change the scores the smaller wins.

    Every member a family proposes is constructed and counted, and scored with the scores of the composite, the isometry at ``seeds`` draws
    of the initial ``law``; the first of each family get all scores. Raises `BudgetError` below one edge per neuron and where no family
    has a member.
    """
    budget_of(n_in, n_out, budget=budget)
    designs = []
    for name in families or TOPOLOGIES:
        for number, member in enumerate(members(name, n_in, n_out, budget, _stream(seed, name, 0))):
            scores = composed_scores(member, [_stream(seed, name, 1 + number, s) for s in range(seeds)], law)
            designs.append(Design(member, scores, composite(scores, budget, n_in * n_out)))
            if progress:
                progress(designs[-1])
    if not designs:
        raise BudgetError(
            f"no member of {', '.join(families or ())} joins {n_in} -> {n_out} within {budget} weights", where="rank"
        )
    designs.sort(key=lambda design: (-round(design.composite, 9), design.topology.weights))
    first: dict[str, Design] = {}
    for design in designs:
        first.setdefault(design.topology.name, design)
    rest = tuple(name for name in SCORES if name not in DRAWN + FIXED)
    for name, design in first.items():
        design.scores.update(score(design.topology, _stream(seed, name, 0, 1), law=law, names=rest, fabric=fabric))
    return designs


def _stream(seed: int, name: str, *cursor: int) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode(), *cursor])


def composed_scores(topology: Topology, streams: Sequence[np.random.Generator], law: str) -> dict[str, float | None]:
    """The scores of the composite at the draws ``streams`` of a law. None of them changes when the whole product is multiplied by a number,
    which saves measuring it.
    """
    draw = drawn_values if is_scale_free(topology) else initial_values
    cases = [Case(topology, draw(topology, rng, law), rng) for rng in streams]
    drawn = {name: float(np.mean([SCORES[name](case) for case in cases])) for name in DRAWN}
    return drawn | {name: SCORES[name](cases[0]) for name in FIXED}
