"""Results of a comparison on disk: JSON lines, a cell at a time, only ever appended; whatever was killed goes on from there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tilewire.checkpoint import lock
from tilewire.compare.grid import Cell, ComparisonGrid, cells_of
from tilewire.compare.trial import try_cell
from tilewire.errors import RunError

RESULTS = "results.jsonl"
Rows = list[dict[str, Any]]


def identity(grid: ComparisonGrid) -> dict[str, Any]:
    """What all results of a folder must share; topologies, densities, depths and laws may be added later."""
    return grid.model_dump(include={"task", "rates", "tune_seeds", "seeds", "train", "fill"})


def read_results(folder: Path) -> Rows:
    """The records of a folder, a torn last line dropped. Raises `RunError` for other damage."""
    path, rows = folder / RESULTS, []
    try:
        lines = path.read_bytes().decode().split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot be read: {error}", where=str(path)) from error
    for number, line in enumerate(lines[:-1], 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise RunError(
                f"line {number} is damaged", where=str(path), hint="remove it; its cell is trained again"
            ) from error
    return rows


def finished(rows: Rows) -> set[str]:
    """Keys of the cells that are done, or have no member."""
    return {
        Cell(*(row[k] for k in ("topology", "density", "depth", "law"))).key
        for row in rows
        if row["record"] in ("scores", "none")
    }


def run_comparison(
    grid: ComparisonGrid,
    folder: Path,
    *,
    seconds: float | None = None,
    report: Callable[[int, int, Cell, Rows], None] | None = None,
) -> bool:
    """Train every cell that the folder lacks, one after another; False if ``seconds`` ran out first. The same call continues.

    Raises `RunError` if the folder holds results of another task, training or seeds.
    """
    with lock(folder):
        rows = read_results(folder)
        own = {"record": "grid", **identity(grid)}
        if rows and rows[0] != json.loads(json.dumps(own)):
            changed = sorted(key for key in own if rows[0].get(key) != json.loads(json.dumps(own[key])))
            raise RunError(
                f"other results lie here: {', '.join(changed)} differ", where=str(folder), hint="another --out"
            )
        done, cells, end = finished(rows), list(cells_of(grid)), None if seconds is None else time.monotonic() + seconds
        _mend(folder / RESULTS)
        if not rows:
            _append(folder / RESULTS, [own])
        todo = [cell for cell in cells if cell.key not in done]
        data = grid.task.load() if todo else None
        for number, cell in enumerate(todo, len(cells) - len(todo) + 1):
            if data is None or (end is not None and time.monotonic() > end):
                return False
            found = try_cell(grid, cell, data)
            new = found or [
                {
                    "record": "none",
                    "topology": cell.topology,
                    "density": cell.density,
                    "depth": cell.depth,
                    "law": cell.law,
                }
            ]
            _append(folder / RESULTS, new)
            if report is not None:
                report(number, len(cells), cell, found or [])
    return True


def _mend(path: Path) -> None:
    """Cut a line that a killed process left unfinished."""
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        with path.open("r+b") as handle:
            handle.truncate(content.rfind(b"\n") + 1)


def _append(path: Path, rows: Rows) -> None:
    """All records of a cell in one write: a killed process leaves whole cells and at most one torn end, whose cell is trained again."""
    with path.open("ab") as handle:
        handle.write("".join(json.dumps(row) + "\n" for row in rows).encode())
        handle.flush()
        os.fsync(handle.fileno())
