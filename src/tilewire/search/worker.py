"""A worker: take a draw, train it, enter its result, until every arm is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tilewire.search.ledger import Ledger
from tilewire.search.plan import ARMS, Draw, Entry, Plan, Result
from tilewire.search.screen import Screen
from tilewire.search.study import Study

PAUSE = 0.2  # seconds between two looks at a barrier


Evaluator = Callable[[Draw, Sequence[tuple[float, ...]]], Result]
"""How a draw becomes a result; second the curves of all short trainings of earlier generations, for early stopping."""


def work(
    study: Study,
    ledger: Ledger,
    evaluate: Evaluator,
    screen: Screen | None = None,
    report: Callable[[Draw, Result | None], None] | None = None,
) -> None:
    """Work until nothing is left to do. Raises whatever the evaluation raises; the draw is then free for the next worker."""
    plan = Plan(study, screen)
    while True:
        with ledger.exclusive():
            draw, done = _next(plan, ledger)
            rivals = _rivals(ledger.entries(draw.arm), draw.generation) if draw else []
        if draw is None:
            if done:
                return
            time.sleep(PAUSE)
            continue
        if report is not None:
            report(draw, None)
        result = evaluate(draw, rivals)
        with ledger.exclusive():
            ledger.finish(draw, result)
        if report is not None:
            report(draw, result)


def _next(plan: Plan, ledger: Ledger) -> tuple[Draw | None, bool]:
    """A draw to work on, if any, and whether all arms are done."""
    done = True
    for arm in ARMS:
        entries = ledger.entries(arm)
        for draw in plan.due(arm, entries):
            ledger.create(draw)
        taken = ledger.take(arm)
        if taken is not None:
            return taken, False
        done = done and plan.finished(arm, ledger.entries(arm))
    return None, done


def _rivals(entries: Sequence[Entry], generation: int) -> list[tuple[float, ...]]:
    return [
        result.curve
        for draw, result in entries
        if result is not None and draw.stage == "short" and draw.generation < generation and result.curve
    ]
