"""``tilewire sweep``."""

from __future__ import annotations

import shlex
from collections import deque
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from tilewire.cli.output import NOT_FITS, OK, Json, emit, log, table
from tilewire.errors import UsageError

if TYPE_CHECKING:
    from tilewire.sweep.outcome import Outcome


def sweep(
    grid: Annotated[Path, typer.Argument(metavar="GRID", help="A grid file: recipe, seeds, cells, axes, groups.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder; default sweeps/NAME, of the grid's file or, of a grid.yaml, its folder."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Run these cells only: a name or prefix; may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Trainings at a time, one thread each.")] = 2,
    resize: Annotated[
        bool, typer.Option("--resize", help="Train nothing: add sizes that finished runs lack, write tables and page.")
    ] = False,
    json: Json = False,
) -> None:
    """A grid of trainings (methods x hardware x seeds). Ctrl-C saves; the same command continues; finished cells are kept."""
    from tilewire.statement.files import GRID
    from tilewire.statement.resize import resize_sweep
    from tilewire.sweep.grid import load_grid
    from tilewire.sweep.run import run_sweep
    from tilewire.terminal import terminate_as_interrupt

    if not grid.is_file():
        raise UsageError(f"no file '{grid}'", hint="a YAML file with recipe, seeds, cells and axes")
    if resize and only:
        raise UsageError("--resize reads every finished cell", hint="leave --only out")
    folder = out or Path("sweeps") / (grid.resolve().parent.name if grid.name == GRID else grid.stem)

    left = _Left()

    def report(done: int, all_: int, outcome: Outcome) -> None:
        accuracy = outcome.objectives.get("test_accuracy")
        text = (
            f"test {accuracy:.1%}" if accuracy is not None else outcome.error.splitlines()[0] if outcome.error else ""
        )
        rest = left.after(all_ - done)
        log(f"[{done}/{all_}] {outcome.cell.name} seed {outcome.cell.seed}: {outcome.verdict} {text}{rest}")

    loaded = load_grid(grid)
    with terminate_as_interrupt():
        outcomes = (
            resize_sweep(loaded, folder, report=report)
            if resize
            else run_sweep(loaded, grid.parent, folder, workers=workers, only=only or (), report=report)
        )
    _conclude(grid, folder, outcomes)
    _finish(outcomes, folder, json)


class _Left:
    """How long a sweep will still take: the mean time of its latest trainings, of those that were not finished before it began."""

    def __init__(self, window: int = 20) -> None:
        self.last, self.took = monotonic(), deque[float](maxlen=window)

    def after(self, trainings: int) -> str:
        """Text for so many trainings to come, empty until one has been trained."""
        now = monotonic()
        if now - self.last > 0.5:  # a finished one is read in less
            self.took.append(now - self.last)
        self.last = now
        if not (self.took and trainings):
            return ""
        minutes = trainings * sum(self.took) / len(self.took) / 60
        return f", about {minutes:.0f} min left" if minutes >= 1 else ", less than a minute left"


def _conclude(grid: Path, folder: Path, outcomes: list[Outcome]) -> None:
    """Keep the grid beside its results, compare, write the page."""
    from tilewire.checkpoint import replace_file
    from tilewire.statement.files import GRID

    replace_file(folder / GRID, grid.read_bytes())
    if any("test_accuracy" in outcome.objectives for outcome in outcomes):
        report_sweep(folder, shlex.join(["tilewire", "sweep", str(grid), "--out", str(folder)]))


def report_sweep(folder: Path, command: str | None = None) -> Path:
    """Compare the cells of a sweep folder and write its page."""
    from tilewire.report.sweep_page import write_sweep_report
    from tilewire.statement.files import state

    state(folder, command=command)
    return write_sweep_report(folder)


def _finish(outcomes: list[Outcome], folder: Path, json: bool) -> None:
    from tilewire.student import interval

    failed = [outcome for outcome in outcomes if outcome.error]
    rows = []
    for cell in dict.fromkeys(outcome.cell.name for outcome in outcomes):
        own = [outcome.objectives for outcome in outcomes if outcome.cell.name == cell and not outcome.error]
        values = [value for entry in own if (value := entry.get("test_accuracy")) is not None]
        devices = [value for entry in own if (value := entry.get("memory_devices")) is not None]
        if values:
            mean, _, low, high = interval(values)
            rows.append((cell, len(values), mean, low, high, sum(devices) / max(len(devices), 1)))
    if json:
        emit(
            {
                "folder": str(folder),
                "cells": [
                    dict(zip(("cell", "n", "test_accuracy", "low95", "high95", "memory_devices"), row, strict=True))
                    for row in rows
                ],
                "failed": [{"cell": o.cell.name, "seed": o.cell.seed, "error": o.error} for o in failed],
            }
        )
    else:
        table("", ("cell", "n", "test accuracy", "low 95", "high 95", "devices"), rows)
        log(f"tables: {folder / 'results.csv'}, {folder / 'summary.csv'}")
        if rows:
            log(f"statement: {folder / 'comparison.csv'}, {folder / 'report.html'}")
    raise typer.Exit(NOT_FITS if failed else OK)
