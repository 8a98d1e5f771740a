"""The trainings of a grid, all validated before the first one starts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tilewire.config import Recipe, dump, hardware_of, load_recipe
from tilewire.errors import ConfigError, Fault, UsageError
from tilewire.sweep.grid import Grid, json_text, variants

SEED = re.compile(
    r"^seed: \d+$", re.MULTILINE
)  # of the resolved recipe: all that sets the trainings of a variant apart


@dataclass(frozen=True)
class Cell:
    """One training: name of its variant, seed, settings as ``key=value`` texts, folder."""

    name: str
    seed: int
    settings: tuple[str, ...]
    folder: Path
    config: str = ""  # the resolved recipe


def cells_of(grid: Grid, base: Path, out: Path) -> list[Cell]:
    """All trainings of a grid, every recipe and chip validated before the first one starts. ``base`` is the folder of the grid file.

    Raises `ConfigError` with the faults of all cells.
    """
    recipe = recipe_of(grid, base)
    found: list[Cell] = []
    faults: dict[Fault, list[str]] = {}
    for label, every in variants(grid):
        try:
            loaded = load_recipe(recipe, _settings(every, grid.seeds[0]))
            _check(loaded)
        except ConfigError as error:
            for fault in error.faults:
                faults.setdefault(fault, []).append(label)
            continue
        config = dump(loaded)
        found += [
            Cell(
                label,
                seed,
                _settings(every, seed),
                out / label / f"seed-{seed}",
                SEED.sub(f"seed: {seed}", config, count=1),
            )
            for seed in grid.seeds
        ]
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


def _settings(every: dict[str, Any], seed: int) -> tuple[str, ...]:
    return tuple(f"{key}={json_text(value)}" for key, value in (every | {"seed": seed, "threads": 1}).items())


def recipe_of(grid: Grid, base: Path) -> str:
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
