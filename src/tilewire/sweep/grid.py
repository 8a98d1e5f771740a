"""A grid file: named variants times axes, groups and contrasts for the statement."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tilewire.errors import ConfigError, Fault, nearest
from tilewire.yamlfile import Record, load


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


def json_text(value: Any) -> str:
    """A value as a setting takes it: JSON is YAML."""
    return json.dumps(value)


def _slug(value: Any) -> str:
    return "".join(
        c if c.isalnum() or c in ".-" else ""
        for c in json_text(value).replace(" ", "").replace(",", "-").replace(":", ".")
    )[:60]
