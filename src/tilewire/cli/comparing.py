"""``tilewire compare`` and ``tilewire verdicts``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tilewire.cli.output import Json, emit, log
from tilewire.errors import UsageError


def compare(
    grid: Annotated[
        Path, typer.Argument(metavar="GRID", help="A grid file: task, topologies, densities, depths, seeds.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default comparisons/GRID.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Stop after about so long; the same command continues.")
    ] = None,
    json: Json = False,
) -> None:
    """Train a-priori topologies at equal weights: densities x depths x seeds. Killed at any time, the same command continues."""
    from tilewire.compare.grid import Cell, load_comparison
    from tilewire.compare.store import run_comparison
    from tilewire.kernels.dispatch import set_threads

    if not grid.is_file():
        raise UsageError(f"no file '{grid}'", hint="a YAML file with task, topologies, densities and depths")
    folder = out or Path("comparisons") / grid.stem
    loaded = load_comparison(grid)
    set_threads(1)

    def report(done: int, all_: int, cell: Cell, rows: list[dict[str, Any]]) -> None:
        tested = [row["test"] for row in rows if row["record"] == "final"]
        text = f"test {sum(tested) / len(tested):.2%}" if tested else "no member of this size and depth"
        log(f"[{done}/{all_}] {cell.key}: {text}")

    folder.mkdir(parents=True, exist_ok=True)
    complete = run_comparison(loaded, folder, seconds=seconds, report=report)
    if json:
        emit({"folder": str(folder), "complete": complete})
    else:
        log(f"{'complete' if complete else 'time is up, the same command continues'}: {folder}")


def verdicts(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders that `tilewire compare` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the tables.")] = Path("verdicts"),
    json: Json = False,
) -> None:
    """What comparisons say: accuracies with intervals, best topologies, correlations of scores with accuracy. CSV and Markdown."""
    from tilewire.checkpoint import replace_file
    from tilewire.compare.tables import accuracy_tables, cell_results, cells_csv, trainings_csv
    from tilewire.compare.verdicts import all_verdicts

    results = [one for folder in folders for one in cell_results(folder)]
    files = {
        "trainings.csv": trainings_csv(folders),
        "cells.csv": cells_csv(results),
        "accuracy.md": accuracy_tables(results).encode(),
        "verdicts.md": all_verdicts(results).encode(),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        replace_file(out / name, content)
    if json:
        emit({"folder": str(out), "cells": len(results), "files": sorted(files)})
    else:
        log(f"{len(results)} cells: {', '.join(str(out / name) for name in files)}")
