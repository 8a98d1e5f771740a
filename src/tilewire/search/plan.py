"""What a study draws next: a pure function of the study file and of the results of earlier generations.

Three arms: ``search`` (screen, then a sampler) and ``random`` (uniform designs) spend the same number of trainings, ``hand`` is one
design, named before the search, full trainings only. An arm goes by generations: short trainings of a population, then full trainings of
the designs that survive, with several seeds. Nothing of a generation depends on results of the same generation, so any number of
workers, dying and restarting as they like, makes the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tilewire.design import Design, key_of
from tilewire.search.front import spread
from tilewire.search.propose import by_sampler, uniformly
from tilewire.search.screen import Screen, hopeless, screened
from tilewire.search.study import Study
from tilewire.streams import stream

ARMS = ("search", "random", "hand")
Stage = Literal["short", "full"]


@dataclass(frozen=True)
class Draw:
    """One training to do: number ``k`` of its arm."""

    arm: str
    k: int
    stage: Stage
    generation: int
    design: Design
    seed: int


@dataclass(frozen=True)
class Result:
    """What became of a draw. ``complete``: objectives count. ``infeasible``: the design cannot be, ``reason`` says why. ``stopped``: early.

    ``failed``: training diverged. ``curve`` is the watched accuracy by epoch.
    """

    state: Literal["complete", "infeasible", "stopped", "failed"]
    objectives: Mapping[str, float | None] = field(default_factory=dict)
    reason: str = ""
    curve: tuple[float, ...] = ()


Entry = tuple[Draw, Result | None]


def violation(study: Study, result: Result) -> float:
    """Sum of the relative violations of all constraints, 0 if all hold."""
    return sum(max(0.0, constraint.violation(result.objectives)) for constraint in study.constraints)


def admissible(study: Study, result: Result | None) -> bool:
    """Whether a result counts for a front."""
    return (
        result is not None
        and result.state == "complete"
        and study.losses(result.objectives) is not None
        and violation(study, result) <= 0
    )


def due(study: Study, arm: str, entries: Sequence[Entry], screen: Screen | None = None) -> list[Draw]:
    """Draws that should exist but do not; empty while a generation is unfinished and when the arm is done (`finished` tells which)."""
    open_generation = max((draw.generation for draw, _ in entries), default=0)
    current = [(draw, result) for draw, result in entries if draw.generation == open_generation]
    earlier = [(draw, result) for draw, result in entries if draw.generation < open_generation]
    wanted = _generation(study, arm, open_generation, earlier, screen)
    if len(current) < len(wanted):
        return wanted[len(current) :]
    if any(result is None for _, result in current):
        return []
    return _generation(study, arm, open_generation + 1, entries, screen)


def finished(study: Study, arm: str, entries: Sequence[Entry], screen: Screen | None = None) -> bool:
    """Whether nothing is left to draw or to do."""
    return all(result is not None for _, result in entries) and not due(study, arm, entries, screen)


def _generation(study: Study, arm: str, generation: int, earlier: Sequence[Entry], screen: Screen | None) -> list[Draw]:
    budget, first = study.budget, len(earlier)
    if arm == "hand":
        designs, stage = ([study.file.hand.settings], "full") if generation == 0 else ([], "full")
    elif generation < budget.generations:
        designs, stage = _short(study, arm, generation, earlier, screen), "short"
    elif generation == budget.generations:
        designs, stage = survivors(study, earlier), "full"
    else:
        return []
    seeds = range(budget.seeds) if stage == "full" else range(1)
    kind: Stage = "full" if stage == "full" else "short"
    pairs = [(design, seed) for design in designs for seed in seeds]
    return [Draw(arm, first + i, kind, generation, design, seed) for i, (design, seed) in enumerate(pairs)]


def _short(study: Study, arm: str, generation: int, earlier: Sequence[Entry], screen: Screen | None) -> list[Design]:
    count = study.budget.population
    known = {key_of(draw.design) for draw, _ in earlier}
    rng = stream(study.file.seed, f"search {arm}", generation)
    if arm == "random":
        return uniformly(study.space, count, known, rng)
    if generation == 0 and study.budget.screen and screen is not None:
        found = screened(study, screen, count, stream(study.file.seed, "screen"))
        known |= {key_of(design) for design in found}
        return found + uniformly(study.space, count - len(found), known, rng)
    history = [(draw.design, result) for draw, result in earlier if result is not None]
    return by_sampler(study, history, count, known, rng, hopeless(study, screen))


def survivors(study: Study, entries: Sequence[Entry]) -> list[Design]:
    """The designs of the short trainings that span most volume, front after front, at most ``budget.survivors``."""
    rows = [(draw.design, result) for draw, result in entries if draw.stage == "short" and admissible(study, result)]
    losses: list[Any] = [study.losses(result.objectives) for _, result in rows if result is not None]
    if not losses:
        return []
    reference = np.array([-v if up else v for v, up in zip(study.reference, study.maximised, strict=True)])
    return [rows[i][0] for i in spread(np.array(losses), study.budget.survivors, reference)]
