"""What a study draws next: a pure function of the study file and of the results of earlier generations.

Three arms: ``search`` (screen, then a sampler) and ``random`` (uniform designs) spend the same number of trainings, ``hand`` is one
design, named before the search, full trainings only. An arm goes by generations: short trainings of a population, then full trainings of
the designs that survive, with several seeds. Nothing of a generation depends on results of the same generation, so any number of
workers, dying and restarting as they like, makes the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tilewire.design import Design, key_of
from tilewire.search.front import spread
from tilewire.search.propose import by_sampler, uniformly
from tilewire.search.screen import Screen, hand_figures, hopeless, screened
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


class Plan:
    """The draws of a study, arm by arm. A generation is worked out once: the results before it are final when it begins."""

    def __init__(self, study: Study, screen: Screen | None = None) -> None:
        self.study, self.screen = study, screen
        self.known: dict[tuple[str, int], list[Draw]] = {}

    def due(self, arm: str, entries: Sequence[Entry]) -> list[Draw]:
        """Draws that should exist but do not; none while a generation is unfinished, and none when the arm is done."""
        last = max((draw.generation for draw, _ in entries), default=0)
        current = [(draw, result) for draw, result in entries if draw.generation == last]
        wanted = self._generation(arm, last, entries[: len(entries) - len(current)])
        if len(current) < len(wanted):
            return wanted[len(current) :]
        if any(result is None for _, result in current):
            return []
        return self._generation(arm, last + 1, entries)

    def finished(self, arm: str, entries: Sequence[Entry]) -> bool:
        """Whether nothing is left to draw or to do."""
        return all(result is not None for _, result in entries) and not self.due(arm, entries)

    def _generation(self, arm: str, generation: int, earlier: Sequence[Entry]) -> list[Draw]:
        if (arm, generation) not in self.known:
            self.known[arm, generation] = self._drawn(arm, generation, earlier)
        return self.known[arm, generation]

    def _drawn(self, arm: str, generation: int, earlier: Sequence[Entry]) -> list[Draw]:
        budget = self.study.budget
        designs: list[Design] = []
        stage: Stage = "full"
        if arm == "hand":
            designs = [self.study.file.hand.settings] if generation == 0 else []
        elif generation < budget.generations:
            designs, stage = self._short(arm, generation, earlier), "short"
        elif generation == budget.generations:
            designs = survivors(self.study, earlier, self.screen if arm == "search" else None)
        seeds = range(budget.seeds if stage == "full" else 1)
        pairs = [(design, seed) for design in designs for seed in seeds]
        return [Draw(arm, len(earlier) + i, stage, generation, design, seed) for i, (design, seed) in enumerate(pairs)]

    def _short(self, arm: str, generation: int, earlier: Sequence[Entry]) -> list[Design]:
        study, count = self.study, self.study.budget.population
        known = {key_of(draw.design) for draw, _ in earlier}
        rng = stream(study.file.seed, f"search {arm}", generation)
        if arm == "random":
            return uniformly(study.space, count, known, rng)
        if generation == 0:
            found: list[Design] = []
            if study.budget.screen and self.screen is not None:
                found = screened(study, self.screen, count, stream(study.file.seed, "screen"))
            known |= {key_of(design) for design in found}
            return found + uniformly(study.space, count - len(found), known, rng)
        history = [(draw.design, result) for draw, result in earlier if result is not None]
        return by_sampler(study, history, count, known, rng, hopeless(study, self.screen))


def survivors(study: Study, entries: Sequence[Entry], screen: Screen | None = None) -> list[Design]:
    """The designs of the short trainings that go on, at most ``budget.survivors``: up to a half the most accurate ones of those that beat
    the hand-made design in every figure that arithmetic knows, then those that span most volume, front after front.
    """
    rows = [
        (draw.design, result)
        for draw, result in entries
        if draw.stage == "short" and result is not None and admissible(study, result)
    ]
    if not rows:
        return []
    losses = np.array([study.losses(result.objectives) for _, result in rows], float)
    reference = np.array([-v if up else v for v, up in zip(study.reference, study.maximised, strict=True)])
    order = [*_ahead_of_hand(study, rows, screen), *spread(losses, len(rows), reference)]
    return [rows[i][0] for i in list(dict.fromkeys(order))[: study.budget.survivors]]


def _ahead_of_hand(study: Study, rows: Sequence[tuple[Design, Result]], screen: Screen | None) -> list[int]:
    hand = hand_figures(study, screen)
    known = [(name, up) for name, up in zip(study.file.objectives, study.maximised, strict=True) if name in hand]
    if not known or study.file.accuracy not in study.file.objectives:
        return []

    def figure(i: int, name: str) -> float:
        value = rows[i][1].objectives[name]
        return np.nan if value is None else value

    ahead = [
        i
        for i in range(len(rows))
        if all(figure(i, name) > hand[name] if up else figure(i, name) < hand[name] for name, up in known)
    ]
    return sorted(ahead, key=lambda i: -figure(i, study.file.accuracy))[: study.budget.survivors // 2]
