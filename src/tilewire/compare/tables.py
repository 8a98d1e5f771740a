"""Tables of finished comparisons: a row a training, a row a cell with interval and scores, accuracies as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tilewire.compare.grid import FULL, SMALL, Cell
from tilewire.compare.store import read_results
from tilewire.errors import RunError
from tilewire.student import interval
from tilewire.tables import csv_text, markdown

TRAINING = (
    "task", "topology", "density", "depth", "law", "record", "seed", "rate", "weights", "parameters", "validation", "test", "loss",
    "seconds",
)  # fmt: skip
BASELINES = (FULL, SMALL)


@dataclass(frozen=True, eq=False)
class CellResult:
    """Test accuracies of a cell by seed, at the learning rate that validation chose, and its scores without data."""

    task: str
    cell: Cell
    rate: float
    weights: int
    description: str
    tests: dict[int, float]
    scores: dict[str, float]

    @property
    def mean(self) -> float:
        """Mean test accuracy."""
        return sum(self.tests.values()) / len(self.tests)

    @property
    def low_high(self) -> tuple[float | None, float | None]:
        """95 % interval of the mean over seeds, Student's t."""
        _, _, low, high = interval(list(self.tests.values()))
        return low, high


def trainings(folder: Path) -> list[dict[str, Any]]:
    """The trainings of a folder with the name of their task; of a cell that was trained twice the last one counts.

    Raises `RunError` if nothing lies there.
    """
    rows = read_results(folder)
    if not rows:
        raise RunError("no results here", where=str(folder), hint="the folder that `tilewire compare` wrote")
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        if row["record"] in ("tune", "final"):
            own = {"task": folder.name, **row}
            found[tuple(own[key] for key in ("topology", "density", "depth", "law", "record", "seed", "rate"))] = own
    done = {_cell(row) for row in rows if row["record"] == "scores"}
    return [row for row in found.values() if _cell(row) in done]


def _cell(row: dict[str, Any]) -> Cell:
    return Cell(row["topology"], row["density"], row["depth"], row["law"])


def cell_results(folder: Path) -> list[CellResult]:
    """One result per finished cell of a folder, in the order in which they were trained. Raises as `trainings`."""
    finals = [row for row in trainings(folder) if row["record"] == "final"]
    scored = {_cell(row): row for row in read_results(folder) if row["record"] == "scores"}
    found = []
    for cell, entry in scored.items():
        own = [row for row in finals if _cell(row) == cell and row["rate"] == _last_rate(finals, cell)]
        tests = {row["seed"]: row["test"] for row in own}
        found.append(
            CellResult(
                folder.name, cell, own[0]["rate"], own[0]["weights"], entry["description"], tests, entry["scores"]
            )
        )
    return found


def _last_rate(finals: Sequence[dict[str, Any]], cell: Cell) -> float:
    return float([row["rate"] for row in finals if _cell(row) == cell][-1])


def trainings_csv(folders: Iterable[Path]) -> bytes:
    """A row a training of all folders; the scores stand in `cells_csv`, joined by task, topology, density, depth and law."""
    return csv_text(TRAINING, ([row[name] for name in TRAINING] for folder in folders for row in trainings(folder)))


def cells_csv(results: Sequence[CellResult]) -> bytes:
    """A row a cell: rate, weights, mean, 95 % interval, and every score."""
    names = sorted({name for one in results for name in one.scores} - {"weights", "density", "depth"})
    head = (
        "task", "topology", "density", "depth", "law", "description", "rate", "weights", "seeds", "test", "low95", "high95", *names,
    )  # fmt: skip
    rows = []
    for one in results:
        low, high = one.low_high
        cell = one.cell
        figures = [_short(value) for value in (one.mean, low, high, *(one.scores.get(name) for name in names))]
        rows.append(
            [
                one.task, cell.topology, cell.density, cell.depth, cell.law, one.description, one.rate, one.weights, len(one.tests),
                *figures,
            ]
        )  # fmt: skip
    return csv_text(head, rows)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def percent(one: CellResult) -> str:
    """Accuracy and half of its interval in per cent, such as "94.1 ± 0.5"."""
    low, high = one.low_high
    half = "" if low is None or high is None else f" ± {50 * (high - low):.1f}"
    return f"{100 * one.mean:.1f}{half}"


def accuracy_tables(results: Sequence[CellResult]) -> str:
    """Per task, density and law a table topology x depth, the best of a depth in bold; baselines in a line of their own."""
    text = []
    for task, law in dict.fromkeys((one.task, one.cell.law) for one in results):
        own = [one for one in results if (one.task, one.cell.law) == (task, law)]
        for density in sorted({one.cell.density for one in own if one.cell.topology not in BASELINES}):
            text.append(_accuracy_table(task, law, density, own))
    return "\n".join(text)


def _accuracy_table(task: str, law: str, density: float, own: Sequence[CellResult]) -> str:
    here = {(one.cell.topology, one.cell.depth): one for one in own if one.cell.density == density}
    depths = sorted({depth for name, depth in here if name not in BASELINES})
    best = {
        d: max(one.mean for (name, depth), one in here.items() if depth == d and name not in BASELINES) for d in depths
    }
    rows = []
    for name in sorted({name for name, _ in here if name not in BASELINES}):
        entries = [here.get((name, depth)) for depth in depths]
        texts = ["" if one is None else percent(one) for one in entries]
        bold = [one is not None and one.mean == best[depth] for one, depth in zip(entries, depths, strict=True)]
        rows.append([name, *(f"**{text}**" if mark else text for text, mark in zip(texts, bold, strict=True))])
    beside = [one for one in own if one.cell.topology in BASELINES and one.cell.density in (density, 1.0)]
    line = "; ".join(f"{one.cell.topology} {percent(one)} ({one.weights:,} weights)" for one in beside)
    title = f"**{task}, {density:.4g} of the dense weights, initial law {law}** ({line})\n\n"
    return title + markdown(["topology", *(f"{d} stages" if d else "own depth" for d in depths)], rows)
