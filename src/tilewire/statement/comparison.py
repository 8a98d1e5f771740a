"""Comparison of the methods of a sweep: device memory at equal accuracy, accuracy at equal memory and at equal parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire import student
from tilewire.errors import UsageError
from tilewire.report.scale import ticks
from tilewire.statement.bootstrap import interval, resamples
from tilewire.statement.contrast import Contrast, contrast
from tilewire.statement.figure import Figure
from tilewire.statement.front import accuracy_at, cost_at, front_of
from tilewire.statement.trainings import Training, floors, unfinished
from tilewire.sweep.grid import members

Floats = NDArray[np.float64]
ACCURACY, PARAMETERS = "test_accuracy", "parameters"
COUNTS = {
    "one_turn": "one-turn router, tile outputs S wide (published)",
    "negotiated": "negotiated router, tile outputs S wide",
    "one_turn_sized_output": "one-turn router, tile outputs as wide as used",
    "negotiated_sized_output": "negotiated router, tile outputs as wide as used",
}
PAIRS = (  # count of the baseline, count of the method: like with like first, then each as its authors build it
    *((count, count) for count in COUNTS),
    ("one_turn", "negotiated"),
    ("one_turn", "negotiated_sized_output"),
    ("one_turn_sized_output", "negotiated_sized_output"),
)


def objective_of(count: str) -> str:
    """Name of the objective that a count reads."""
    return count if count == PARAMETERS else f"memory_devices_needed_{count}"


@dataclass(frozen=True)
class CellRow:
    """A cell of the sweep: means over its seeds, intervals by Student's t; ``complete``: it has every seed and takes part in fronts."""

    cell: str
    groups: tuple[str, ...]
    chip: str
    seeds: int
    complete: bool
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Ratio:
    """Device memory of a baseline over that of a group at one accuracy; ``note`` says where a side has no measured cell."""

    baseline: str
    group: str
    count: str
    baseline_count: str
    accuracy: float
    ratio: Figure
    devices: float | None
    baseline_devices: float | None
    note: str = ""


@dataclass(frozen=True)
class Gain:
    """Accuracy of a group less that of a cell of a baseline's front, at the device memory (or parameters) that this cell has."""

    baseline: str
    group: str
    count: str
    baseline_count: str
    at_cell: str
    at: float
    gain: Figure


@dataclass(frozen=True)
class Comparison:
    """Everything that a sweep says. ``fronts`` {group: {count: ((device memory, accuracy, cell), ...)}}."""

    baselines: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    cells: tuple[CellRow, ...]
    fronts: dict[str, dict[str, tuple[tuple[float, float, str], ...]]]
    ratios: tuple[Ratio, ...]
    gains: tuple[Gain, ...]
    contrasts: tuple[Contrast, ...]
    floors: dict[str, dict[str, int]]
    failed: tuple[dict[str, str | int], ...]


@dataclass(frozen=True)
class _Resampled:
    """Cells [c] of a group with all seeds: figures [1 + r, c]; row 0 holds the means over the seeds, the others those of resamples."""

    names: tuple[str, ...]
    figures: dict[str, Floats]

    def of(self, count: str) -> tuple[Floats, Floats]:
        """Cost and accuracy of the cells that have this count."""
        cost = self.figures[count]
        known = ~np.isnan(cost[0])
        return cost[:, known], self.figures[ACCURACY][:, known]

    def named(self, count: str) -> list[str]:
        known = ~np.isnan(self.figures[count][0])
        return [name for name, has in zip(self.names, known, strict=True) if has]


def compare(
    trainings: Sequence[Training],
    groups: Mapping[str, Sequence[str]] | None = None,
    baselines: Sequence[str] = (),
    accuracies: Sequence[float] = (),
    *,
    contrasts: Mapping[str, Sequence[str]] | None = None,
    rng: np.random.Generator,
) -> Comparison:
    """Compare groups of cells (none: each cell is one) with every group of ``baselines`` (none: the first).

    Seeds are resampled together for all cells, so that what a seed does to every cell cancels in ratios and differences. A cell that
    lacks a seed of the sweep is listed and takes no part. With R(a) = M_baseline(a) / M_group(a), M(a) the least device memory on a
    group's front (`front.cost_at`), each resample gives one R; its interval is `bootstrap.interval`. Fewer than 5 seeds: no intervals.
    ``contrasts`` {name: (cell, cell)}: see `contrast`. Raises `UsageError` for baselines that are no group and for a sweep without a
    finished training.
    """
    done = [one for one in trainings if ACCURACY in one.values and not one.error]
    if not done:
        raise UsageError("no finished training to compare", hint="tilewire sweep GRID")
    labels = list(dict.fromkeys(one.cell for one in trainings))
    chosen = {name: tuple(members(entries, labels)) for name, entries in (groups or {c: [c] for c in labels}).items()}
    bases = tuple(baselines) or (next(iter(chosen)),)
    wrong = [base for base in bases if base not in chosen]
    if wrong:
        raise UsageError(f"baseline '{wrong[0]}' is no group", hint=", ".join(chosen))
    seeds = tuple(sorted({one.seed for one in done}))
    table = {(one.cell, one.seed): one.values for one in done}
    complete = [cell for cell in labels if all((cell, seed) in table for seed in seeds)]
    shares, probability = resamples(len(seeds), rng)
    weights = np.vstack([np.full(len(seeds), 1 / len(seeds)), shares])
    drawn = {
        name: _resampled([c for c in cells if c in complete], table, seeds, weights) for name, cells in chosen.items()
    }
    chips = sorted({one.chip for one in done if one.chip})
    objectives = (PARAMETERS, *map(objective_of, COUNTS))
    paired = (contrast(name, cells, done, ACCURACY, objectives) for name, cells in (contrasts or {}).items())
    return Comparison(
        bases, chosen, seeds,
        tuple(_cell_row(cell, chosen, done, cell in complete) for cell in labels),
        {name: {count: _front(group, count) for count in COUNTS} for name, group in drawn.items()},
        tuple(ratio for base in bases for ratio in _ratios(drawn, base, accuracies, probability, len(seeds))),
        tuple(gain for base in bases for gain in _gains(drawn, base, probability, len(seeds))),
        tuple(one for one in paired if one is not None),
        {chip: dict(zip(("published", "sized_output"), floors(chip), strict=True)) for chip in chips},
        tuple({"cell": o.cell, "seed": o.seed, "error": o.error or "no accuracy"} for o in unfinished(trainings)),
    )  # fmt: skip


def _resampled(
    cells: Sequence[str], table: Mapping[tuple[str, int], Mapping[str, float]], seeds: Sequence[int], weights: Floats
) -> _Resampled:
    def means(objective: str) -> Floats:
        values = [[table[cell, seed].get(objective, np.nan) for seed in seeds] for cell in cells]
        return weights @ np.array(values, np.float64).reshape(len(cells), len(seeds)).T

    counts = {count: means(objective_of(count)) for count in (*COUNTS, PARAMETERS)}
    return _Resampled(tuple(cells), counts | {ACCURACY: means(ACCURACY)})


def _cell_row(cell: str, groups: Mapping[str, Sequence[str]], done: Sequence[Training], complete: bool) -> CellRow:
    own = [one for one in done if one.cell == cell]
    figures = {}
    for name in (ACCURACY, PARAMETERS, "branches", *map(objective_of, COUNTS)):
        values = [one.values[name] for one in own if name in one.values]
        if values:
            mean, _, low, high = student.interval(values)
            figures[name] = Figure(mean, low, high)
    inside = tuple(name for name, cells in groups.items() if cell in cells)
    return CellRow(cell, inside, own[0].chip if own else "", len(own), complete, figures)


def _front(group: _Resampled, count: str) -> tuple[tuple[float, float, str], ...]:
    cost, accuracy = (figures[0] for figures in group.of(count))
    names = group.named(count)
    return tuple((float(cost[i]), float(accuracy[i]), names[i]) for i in front_of(cost, accuracy)) if names else ()


def _ratios(
    drawn: Mapping[str, _Resampled], base: str, accuracies: Sequence[float], probability: Floats, seeds: int
) -> Iterator[Ratio]:
    for name, group in drawn.items():
        for baseline_count, count in PAIRS:
            theirs, own = drawn[base].of(baseline_count), group.of(count)
            if not (theirs[0].size and own[0].size) or (name == base and count == baseline_count):
                continue
            for level in accuracies or _levels(theirs[1][0], own[1][0]):
                a, b = (
                    np.array([cost_at(c, acc, level) for c, acc in zip(*side, strict=True)]) for side in (theirs, own)
                )
                with np.errstate(invalid="ignore"):  # neither side reaches it
                    ratio = a / b
                known = np.isfinite(a[0]) and np.isfinite(b[0])
                figure = Figure(float(ratio[0]) if known else None, *interval(ratio[1:], probability, seeds))
                devices, baseline_devices = (float(v) if np.isfinite(v) else None for v in (b[0], a[0]))
                note = _note(theirs[1][0], own[1][0], level)
                yield Ratio(base, name, count, baseline_count, float(level), figure, devices, baseline_devices, note)


def _levels(theirs: Floats, own: Floats) -> list[float]:
    """Round accuracies that both groups measured around, and the best that both reach."""
    low, high = float(max(theirs.min(), own.min())), float(min(theirs.max(), own.max()))
    inside = [level for level in ticks(low, high, 5) if low <= level < high] if high > low else []
    return [*inside, high]


def _note(theirs: Floats, own: Floats, level: float) -> str:
    sides = (("baseline", theirs), ("group", own))
    unreached = [f"{who} reaches {acc.max():.1%}" for who, acc in sides if acc.max() < level]
    above = [f"every cell of the {who} exceeds it" for who, acc in sides if acc.min() > level]
    return "; ".join(unreached + above)


def _gains(drawn: Mapping[str, _Resampled], base: str, probability: Floats, seeds: int) -> Iterator[Gain]:
    """At every cell of the baseline's front, resample by resample at the cost that this cell has there."""
    for name, group in drawn.items():
        for baseline_count, count in (*PAIRS, (PARAMETERS, PARAMETERS)):
            (cost, accuracy), own = drawn[base].of(baseline_count), group.of(count)
            if not (cost.size and own[0].size) or (name == base and count == baseline_count):
                continue
            names = drawn[base].named(baseline_count)
            for cell in front_of(cost[0], accuracy[0]):
                rows = zip(*own, cost[:, cell], accuracy[:, cell], strict=True)
                gain = np.array([accuracy_at(c, acc, most) - reached for c, acc, most, reached in rows])
                if np.isfinite(gain[0]):
                    figure = Figure(float(gain[0]), *interval(gain[1:], probability, seeds))
                    yield Gain(base, name, count, baseline_count, names[cell], float(cost[0, cell]), figure)
