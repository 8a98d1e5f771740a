"""``comparison.json`` and ``comparison.csv`` of a sweep folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tilewire.checkpoint import replace_file
from tilewire.statement.comparison import COUNTS, PARAMETERS, Comparison, compare
from tilewire.statement.figure import Figure
from tilewire.statement.trainings import read_trainings
from tilewire.streams import stream
from tilewire.sweep.grid import Grid, load_grid, variants
from tilewire.tables import csv_text

GRID, COMPARISON = "grid.yaml", "comparison.json"
HEAD = (
    "quantity", "group", "baseline", "count", "baseline_count", "at", "at_unit", "value", "low95", "high95", "seeds", "note",
)  # fmt: skip


def grid_beside(folder: Path) -> Grid | None:
    """The grid that a sweep folder keeps a copy of; None in folders that have none."""
    path = folder / GRID
    return load_grid(path) if path.is_file() else None


def state(folder: Path, grid: Grid | None = None, command: str | None = None) -> dict[str, Any]:
    """Compare the cells of a sweep folder from its ``results.csv``; writes ``comparison.json`` and ``comparison.csv``.

    ``grid`` names groups and baselines (default: the copy in the folder); without groups every variant is one. ``command`` is what
    made the sweep (default: what the folder last said). Returns what ``comparison.json`` holds.
    """
    grid = grid or grid_beside(folder)
    groups = (grid.groups or {name: [name] for name in grid.cells}) if grid else {}
    found = compare(
        read_trainings(folder), groups, grid.baselines if grid else (), grid.accuracies if grid else (),
        contrasts=grid.contrasts if grid else {}, rng=stream(0, "bootstrap"),
    )  # fmt: skip
    asked = len(list(variants(grid))) * len(grid.seeds) if grid else None
    content = {"schema": 1, "command": command or _command(folder), "trainings": asked, "counts": COUNTS} | asdict(
        found
    )
    replace_file(folder / COMPARISON, (json.dumps(content, indent=1) + "\n").encode())
    replace_file(folder / "comparison.csv", csv_text(HEAD, _rows(found)))
    return content


def _command(folder: Path) -> str:
    try:
        return str(json.loads((folder / COMPARISON).read_text())["command"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _shown(figure: Figure) -> tuple[float | None, float | None, float | None]:
    """Value and ends as the table has them."""
    return figure.value, figure.low95, figure.high95


def _rows(found: Comparison) -> Iterator[tuple[Any, ...]]:
    n = len(found.seeds)
    for r in found.ratios:
        yield (
            "memory ratio",
            r.group,
            r.baseline,
            r.count,
            r.baseline_count,
            r.accuracy,
            "accuracy",
            *_shown(r.ratio),
            n,
            r.note,
        )
    for g in found.gains:
        unit = "parameters" if g.count == PARAMETERS else "devices"
        yield (
            "accuracy gain",
            g.group,
            g.baseline,
            g.count,
            g.baseline_count,
            g.at,
            unit,
            *_shown(g.gain),
            n,
            f"at {g.at_cell}",
        )
    for c in found.contrasts:
        yield "accuracy difference", *c.cells, "", "", None, "", *_shown(c.difference), c.seeds, c.name
        for objective, ratio in c.ratios.items():
            yield "ratio of cells", *c.cells, objective, objective, None, "", *_shown(ratio), c.seeds, c.name
    for chip, floor in found.floors.items():
        for count, devices in floor.items():
            yield (
                "floor",
                "",
                "",
                count,
                "",
                None,
                chip,
                devices,
                None,
                None,
                "",
                "least devices of any network on this grid",
            )
