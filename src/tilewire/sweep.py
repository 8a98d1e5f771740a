"""A sweep: a fixed grid of trainings (cells x seeds), each a run folder, in parallel processes, continued by the same call."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tilewire.checkpoint import lock, replace_file
from tilewire.config import Recipe, dump, hardware_of, load_recipe
from tilewire.errors import ConfigError, Fault, RunError, UsageError, nearest, unknown
from tilewire.sweep_pool import Task, WorkerPool
from tilewire.yamlfile import Record, load

SHARED = ".shared"  # first phases of compressions, trained once for all cells that have them


class Grid(Record):
    """A grid of trainings. ``settings`` hold for all; ``cells`` are named variants; ``axes`` {key: values} multiply every cell.

    For the statement: ``groups`` {method: names or prefixes of its cells} (none: every variant is one), the ``baseline`` (or
    several) that the others are compared with (none: the first group), the ``accuracies`` to compare at (none: round ones that both reach),
    and ``contrasts`` {name: two cells} that differ in one thing.
    """

    recipe: str
    seeds: list[int] = Field(min_length=1)
    settings: dict[str, Any] = Field(default={})
    cells: dict[str, dict[str, Any]] = Field(default={"run": {}}, min_length=1)
    axes: dict[str, list[Any]] = Field(default={})
    groups: dict[str, list[str]] = Field(default={})
    baseline: str | list[str] | None = None
    accuracies: list[Annotated[float, Field(gt=0, le=1)]] = Field(default=[])
    contrasts: dict[str, list[str]] = Field(default={})

    @property
    def baselines(self) -> list[str]:
        """The baselines as a list; empty where the grid names none."""
        return [self.baseline] if isinstance(self.baseline, str) else self.baseline or []


@dataclass(frozen=True)
class Cell:
    """One training: name of its variant, seed, settings as ``key=value`` texts, folder."""

    name: str
    seed: int
    settings: tuple[str, ...]
    folder: Path
    config: str = ""  # the resolved recipe


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: the objectives of its run, or the error that ended it; the chip as family, grid and neurons per tile."""

    cell: Cell
    verdict: str
    objectives: dict[str, float | None]
    error: str = ""
    chip: str = ""


def _text(value: Any) -> str:
    return json.dumps(value)  # JSON is YAML


def load_grid(path: Path) -> Grid:
    """A grid file. Raises `ConfigError` with every fault."""
    grid = load(path, Grid)
    unsafe = [name for name in grid.cells if not name or name != Path(name).name or name.startswith(".")]
    faults = [Fault(str(path), f"cells.{name}", "is no folder name") for name in unsafe]
    faults += [Fault(str(path), f"axes.{key}", "has no values") for key, values in grid.axes.items() if not values]
    if len(set(grid.seeds)) < len(grid.seeds):
        faults.append(Fault(str(path), "seeds", "holds a seed twice"))
    faults += _group_faults(grid, str(path))
    if faults:
        raise ConfigError(str(path), faults)
    return grid


def _group_faults(grid: Grid, path: str) -> list[Fault]:
    labels = list(dict.fromkeys(label for label, _ in variants(grid)))
    faults = [
        Fault(path, f"groups.{name}", f"no cell is named or begins with '{entry}'", nearest=nearest(entry, labels))
        for name, entries in grid.groups.items()
        for entry in entries
        if not members([entry], labels)
    ]
    known = list(grid.groups or labels)
    faults += [
        Fault(path, "baseline", f"'{name}' is no group", ", ".join(known), nearest(name, known))
        for name in grid.baselines
        if name not in known
    ]
    faults += [
        Fault(path, f"contrasts.{name}", f"{len(cells)} cells, a contrast has two")
        for name, cells in grid.contrasts.items()
        if len(cells) != 2
    ]
    faults += [
        Fault(path, f"contrasts.{name}", f"no cell is named '{cell}'", nearest=nearest(cell, labels))
        for name, cells in grid.contrasts.items()
        for cell in cells
        if cell not in labels
    ]
    return faults


def members(entries: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Labels that a group's entries mean: the cell of that name with all its axes if there is one, else all that begin so."""
    exact = {entry for entry in entries if any(_of_variant(label, entry) for label in labels)}
    return [
        label
        for label in labels
        if any(_of_variant(label, entry) if entry in exact else label.startswith(entry) for entry in entries)
    ]


def _of_variant(label: str, name: str) -> bool:
    return label == name or label.startswith(f"{name}_")


def variants(grid: Grid) -> Iterator[tuple[str, dict[str, Any]]]:
    """Label and settings of every cell: named variants times axes."""
    for name, own in grid.cells.items():
        for values in itertools.product(*grid.axes.values()):
            chosen = dict(zip(grid.axes, values, strict=True))
            label = "_".join([name, *(f"{key.rpartition('.')[2]}-{_slug(value)}" for key, value in chosen.items())])
            yield label, grid.settings | own | chosen


def cells_of(grid: Grid, base: Path, out: Path) -> list[Cell]:
    """All trainings of a grid, every recipe and chip validated before the first one starts. ``base`` is the folder of the grid file.

    Raises `ConfigError` with the faults of all cells.
    """
    recipe = _recipe_of(grid, base)
    found: list[Cell] = []
    faults: dict[Fault, list[str]] = {}
    for label, every in variants(grid):
        for seed in grid.seeds:
            settings = tuple(f"{key}={_text(value)}" for key, value in (every | {"seed": seed, "threads": 1}).items())
            try:
                loaded = load_recipe(recipe, settings)
                if seed == grid.seeds[0]:
                    _check(loaded)
            except ConfigError as error:
                for fault in error.faults:
                    faults.setdefault(fault, []).append(label)
                break  # its other seeds have the same faults
            found.append(Cell(label, seed, settings, out / label / f"seed-{seed}", dump(loaded)))
    if faults:
        every_cell = len({label for label, _ in variants(grid)})
        raise ConfigError(
            "the grid",
            [
                replace(
                    fault,
                    where=f"{'every cell' if len(labels) == every_cell > 1 else ', '.join(labels)}: {fault.where}",
                )
                for fault, labels in faults.items()
            ],
        )
    folders = [cell.folder for cell in found]
    twice = {folder for folder in folders if folders.count(folder) > 1}
    if twice:
        raise UsageError(f"two cells share the folder {sorted(twice)[0]}", hint="rename a cell")
    return found


def _recipe_of(grid: Grid, base: Path) -> str:
    """A recipe beside the grid file goes before a packaged one."""
    beside = base / grid.recipe
    return str(beside) if beside.is_file() else grid.recipe


def _check(recipe: Recipe) -> None:
    """A name that no table holds, or a chip that cannot exist, is a fault of the recipe like any other. Raises `ConfigError`."""
    from tilewire.parts import name_faults

    faults = name_faults(recipe)
    try:
        hardware_of(recipe)
    except ConfigError as error:
        faults += error.faults
    except UsageError as error:
        faults.append(Fault(error.where or "hardware", "hardware", error.message))
    if faults:
        raise ConfigError("the recipe", faults)


def _slug(value: Any) -> str:
    return "".join(
        c if c.isalnum() or c in ".-" else "" for c in _text(value).replace(" ", "").replace(",", "-").replace(":", ".")
    )[:60]


def _finished(cell: Cell) -> bool:
    """Whether the folder of a cell already holds its evaluation, of this very configuration."""
    config = cell.folder / "config.yaml"
    return (cell.folder / "evaluation.json").is_file() and config.is_file() and config.read_text() == cell.config


def outcome_of(cell: Cell, error: str = "") -> Outcome:
    """The outcome that the folder of a cell holds; without an evaluation it is an error."""
    path = cell.folder / "evaluation.json"
    if error or not path.is_file():
        return Outcome(cell, "none", {}, error or "no evaluation")
    content = json.loads(path.read_text())
    objectives = {name: entry["value"] for name, entry in content["objectives"].items()}
    hardware = content["hardware"]
    chip = f"{hardware['family']} {'x'.join(map(str, [*hardware['grid'], hardware['neurons_per_tile']]))}"
    return Outcome(cell, content["verdict"], objectives, chip=chip)


def run_sweep(
    grid: Grid,
    base: Path,
    out: Path,
    *,
    workers: int,
    only: Sequence[str] = (),
    report: Callable[[int, int, Outcome], None] | None = None,
) -> list[Outcome]:
    """Run every unfinished cell, ``workers`` at a time, one thread each; writes ``results.csv`` and ``summary.csv`` into ``out``.

    ``only`` names the cells to run (names or prefixes, as in groups; none: all); of the others those that are finished are listed too.
    A cell that fails is listed with its error and does not stop the others. Interrupted cells continue where they were saved.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers, at least 1 is needed")
    cells = cells_of(grid, base, out)
    chosen = _chosen(cells, only)
    recipe = _recipe_of(grid, base)

    def one(cell: Cell) -> Outcome:
        if _finished(cell):
            return outcome_of(cell)
        error = pool.run(Task(recipe, list(cell.settings), str(cell.folder), str(out / SHARED)))
        return outcome_of(cell, error[-2000:])

    with lock(out), WorkerPool() as pool:
        outcomes = {cell: outcome_of(cell) for cell in cells if cell not in chosen and _finished(cell)}
        with ThreadPoolExecutor(workers) as threads:
            pending = {threads.submit(one, cell): cell for cell in chosen}
            try:
                for number, done in enumerate(as_completed(pending), 1):
                    outcomes[pending[done]] = done.result()
                    write_tables(out, [outcomes[cell] for cell in cells if cell in outcomes])
                    if report is not None:
                        report(number, len(chosen), outcomes[pending[done]])
            except KeyboardInterrupt:
                pool.stop()
                threads.shutdown(wait=True, cancel_futures=True)
                raise
        if pool.stopped:
            raise RunError(
                "the sweep was stopped; every cell is saved", where=str(out), hint="the same command continues"
            )
    return [outcomes[cell] for cell in cells if cell in outcomes]


def _chosen(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """The cells that ``only`` means; all if it is empty. Raises `UsageError` for an entry that means none."""
    labels = list(dict.fromkeys(cell.name for cell in cells))
    for entry in only:
        if not members([entry], labels):
            raise UsageError(unknown("cell", entry, labels))
    names = set(members(only, labels) if only else labels)
    return [cell for cell in cells if cell.name in names]


def write_tables(out: Path, outcomes: Sequence[Outcome]) -> None:
    """``results.csv``: a row a training. ``summary.csv``: per cell and objective n, mean, standard deviation and 95 % interval."""
    names = sorted({name for outcome in outcomes for name in outcome.objectives})
    rows = [
        [
            o.cell.name,
            o.cell.seed,
            o.verdict,
            o.chip,
            *(o.objectives.get(name) for name in names),
            o.error.splitlines()[0] if o.error else "",
        ]
        for o in outcomes
    ]
    replace_file(out / "results.csv", csv_text(["cell", "seed", "verdict", "chip", *names, "error"], rows))
    summary = []
    for cell in dict.fromkeys(o.cell.name for o in outcomes):
        for name in names:
            values = [v for o in outcomes if o.cell.name == cell and (v := o.objectives.get(name)) is not None]
            if values:
                summary.append([cell, name, len(values), *interval(values)])
    replace_file(out / "summary.csv", csv_text(["cell", "objective", "n", "mean", "sd", "low95", "high95"], summary))


def interval(values: Sequence[float]) -> tuple[float, float | None, float | None, float | None]:
    """Mean, standard deviation and the 95 % interval of the mean by Student's t; None where one value says nothing of the spread."""
    from scipy.stats import t

    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, None, None, None
    sd = (sum((value - mean) ** 2 for value in values) / (n - 1)) ** 0.5
    half = float(t.ppf(0.975, n - 1)) * sd / n**0.5
    return mean, sd, mean - half, mean + half


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file; nothing stands for None."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return stream.getvalue().encode()
