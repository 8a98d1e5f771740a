"""What a comparison says: who is best in which cell, what the initial law brings, which score foretells accuracy, what `rank` is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tilewire.compare.foretell import (
    Correlation,
    Strata,
    ceiling,
    composed,
    correlation,
    fit_composite,
    strata,
)
from tilewire.compare.tables import BASELINES, CellResult, percent
from tilewire.nn.rank import composite
from tilewire.streams import stream
from tilewire.student import interval
from tilewire.tables import markdown

PARALLEL = ("parallel-cross", "parallel-sum", "parallel-union")
RANKED = "ranked"
NOT_STRUCTURED = (RANKED, "random", "random-skip", "uniform", "givens", "block", "low-rank")
"""Contestants that store their indices, or have none because they are dense factors."""


@dataclass(frozen=True)
class Contest:
    """Mean difference in accuracy of two cells over the seeds they share, paired, with its 95 % interval."""

    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """better, worse, or level where the interval holds 0."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "level"


def contest(one: CellResult, other: CellResult) -> Contest:
    """Seeds share the order of features and of batches, so their differences spread less than the accuracies."""
    shared = sorted(set(one.tests) & set(other.tests))
    mean, _, low, high = interval([one.tests[seed] - other.tests[seed] for seed in shared])
    return Contest(mean, mean if low is None else low, mean if high is None else high)


def best_of(results: Sequence[CellResult], names: Callable[[str], bool]) -> CellResult | None:
    """The cell of highest mean among the topologies whose name passes."""
    return max((one for one in results if names(one.cell.topology)), key=lambda one: one.mean, default=None)


def parallel_verdicts(results: Sequence[CellResult]) -> str:
    """Cell by cell: the parallel butterfly with skips against the best other topology of the same depth and weights.

    The best of several noisy means is an optimistic opponent: "level" leans towards the parallel butterfly, "worse" against it.
    """
    rows, counts = [], {"better": 0, "level": 0, "worse": 0}
    for group in strata(results, within_depth=True):
        mine = best_of(group, lambda name: name == "parallel-cross")
        other = best_of(group, lambda name: name not in (*PARALLEL, RANKED))
        any_parallel = best_of(group, lambda name: name in PARALLEL)
        if mine is None or other is None or any_parallel is None:
            continue
        found = contest(mine, other)
        counts[found.verdict] += 1
        cell = mine.cell
        rows.append(
            [
                mine.task, f"{cell.density:.4g}", f"{cell.depth}", cell.law, percent(mine),
                f"{any_parallel.cell.topology} {percent(any_parallel)}", f"{other.cell.topology} {percent(other)}", _points(found),
                found.verdict,
            ]
        )  # fmt: skip
    head = (
        "task", "density", "stages", "law", "parallel, skips", "best parallel", "best other", "difference", "verdict",
    )  # fmt: skip
    summary = ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())
    return (
        f"Parallel butterfly with skips against the best other of its cell: {summary} of {len(rows)}.\n\n"
        + markdown(head, rows)
    )


def _points(found: Contest) -> str:
    return f"{100 * found.difference:+.2f} ({100 * found.low:+.2f} to {100 * found.high:+.2f})"


def best_per_budget(results: Sequence[CellResult]) -> str:
    """Per task and density the best index-free cell of any depth, the best random one and low rank, against dense and dense-small."""
    rows = []
    for task, law in dict.fromkeys((one.task, one.cell.law) for one in results):
        own = [one for one in results if (one.task, one.cell.law) == (task, law)]
        dense = best_of(own, lambda name: name == "dense")
        for density in sorted({one.cell.density for one in own if one.cell.topology not in BASELINES}):
            here = [one for one in own if one.cell.density == density]
            structured = best_of(here, lambda name: name not in (*BASELINES, *NOT_STRUCTURED))
            drawn = best_of(here, lambda name: name.startswith("random"))
            small = best_of(here, lambda name: name == "dense-small")
            rows.append(
                [
                    task, law, f"{density:.4g}", *(_named(one) for one in (structured, drawn, best_of(here, lambda n: n == "low-rank"))),
                    *(percent(one) if one else "" for one in (small, dense)),
                    _points(contest(structured, dense)) if structured and dense else "",
                ]
            )  # fmt: skip
    head = (
        "task", "law", "density", "best structured", "best random", "low rank", "dense-small", "dense", "structured less dense",
    )  # fmt: skip
    return markdown(head, rows)


def _named(one: CellResult | None) -> str:
    return "" if one is None else f"{one.cell.topology}, {one.cell.depth} stages: {percent(one)}"


def law_verdicts(results: Sequence[CellResult]) -> str:
    """What the default initial law brings over Gaussian weights of the same variance, cell by cell of the same data."""
    rows = []
    gaussian = [one for one in results if one.cell.law == "variance"]
    for one in gaussian:
        task = one.task.removesuffix("-variance")
        same = [r for r in results if r.task == task and r.cell.law == "auto" and _alike(r, one)]
        if same:
            rows.append(
                [
                    task,
                    one.cell.topology,
                    f"{one.cell.depth}",
                    percent(one),
                    percent(same[0]),
                    _points(contest(same[0], one)),
                ]
            )
    return markdown(("task", "topology", "stages", "Gaussian", "default law", "gain"), rows) if rows else ""


def _alike(one: CellResult, other: CellResult) -> bool:
    a, b = one.cell, other.cell
    return (a.topology, a.density, a.depth) == (b.topology, b.density, b.depth)


def score_verdicts(results: Sequence[CellResult], draws: int) -> str:
    """Spearman correlation of every score with accuracy, across depths and within a depth, with bootstrap intervals."""
    plain = [one for one in results if one.cell.law == "auto" and one.cell.topology != RANKED]
    names = sorted({name for one in plain for name in one.scores} - {"density", "weights"})
    texts = []
    for task in (*dict.fromkeys(one.task for one in plain), ""):
        own = [one for one in plain if task in (one.task, "")]
        sides = [strata(own, within_depth=within) for within in (False, True)]
        if all(sides):
            rows = [[name, *(_shown(_of_score(side, name, draws)) for side in sides)] for name in names]
            rows.append(["composite of `rank`", *(_shown(_of(side, _ranked_by, draws)) for side in sides)])
            rows.append(["best possible (reliability of the means)", *(f"{ceiling(side):.2f}" for side in sides)])
            texts.append(
                f"**{task or 'all tasks'}**\n\n" + markdown(("score", "across depths", "within a depth"), rows)
            )
    return "\n".join(texts)


def _of(side: Strata, value: Callable[[CellResult], float], draws: int) -> Correlation:
    return correlation(side, value, stream(0, "bootstrap"), draws)


def _of_score(side: Strata, name: str, draws: int) -> Correlation:
    return _of(side, lambda one: one.scores.get(name, float("nan")), draws)


def _ranked_by(one: CellResult) -> float:
    budget = int(one.scores["weights"])
    return composite(one.scores, budget, round(budget / one.scores["density"]))


def _shown(found: Correlation) -> str:
    if not np.isfinite(found.value):
        return "-"
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f}), {found.cells} cells"


def composite_verdicts(results: Sequence[CellResult], draws: int) -> str:
    """A composite tuned on all tasks but one and tested on that one, across depths and within a depth."""
    plain = [one for one in results if one.cell.law == "auto" and one.cell.topology != RANKED]
    tasks, rows = list(dict.fromkeys(one.task for one in plain)), []
    for task in tasks:
        for within in (False, True):
            tune = strata([one for one in plain if one.task != task], within_depth=within)
            test = strata([one for one in plain if one.task == task], within_depth=within)
            if tune and test:
                exponents = fit_composite(tune)
                found = _of(test, composed(exponents), draws)
                verdict = "yes" if found.value >= 0.8 else "no"
                rows.append(
                    [
                        task, "within a depth" if within else "across depths",
                        ", ".join(f"{name} {value:+.2f}" for name, value in exponents.items()), _shown(found),
                        f"{ceiling(test):.2f}", verdict,
                    ]
                )  # fmt: skip
    return markdown(
        ("tested on", "strata", "exponents tuned on the other tasks", "Spearman", "best possible", ">= 0.8"), rows
    )


def ranked_verdicts(results: Sequence[CellResult]) -> str:
    """The design that `rank` returns against the best trained topology of the same task and density."""
    rows = []
    for one in results:
        if one.cell.topology == RANKED:
            listed = [
                r
                for r in results
                if (r.task, r.cell.density, r.cell.law) == (one.task, one.cell.density, one.cell.law)
                and r.cell.topology not in (RANKED, *BASELINES)
            ]
            best, place = best_of(listed, lambda name: True), 1 + sum(r.mean > one.mean for r in listed)
            if best is not None:
                rows.append(
                    [
                        one.task, f"{one.cell.density:.4g}", f"{one.description}: {percent(one)}", _named(best),
                        _points(contest(one, best)), f"{place} of {len(listed) + 1}",
                    ]
                )  # fmt: skip
    return markdown(("task", "density", "design of rank", "best listed", "difference", "place"), rows) if rows else ""


def all_verdicts(results: Sequence[CellResult], draws: int = 500) -> str:
    """Everything, as one Markdown text; ``draws`` of every bootstrap."""
    sections = (
        ("Best per budget", best_per_budget(results)),
        ("Parallel butterflies with skips", parallel_verdicts(results)),
        ("Initial law", law_verdicts(results)),
        ("Scores without data", score_verdicts(results, draws)),
        ("A composite tuned on other tasks", composite_verdicts(results, draws)),
        ("The design of rank", ranked_verdicts(results)),
    )
    return "\n".join(f"## {title}\n\n{text}" for title, text in sections if text)
