"""The trainings of a grid, all validated before the first one starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tilewire.config import Recipe, dump, hardware_of, load_recipe
from tilewire.errors import ConfigError, Fault, UsageError
from tilewire.sweep.grid import Grid, json_text, variants


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
        for seed in grid.seeds:
            settings = tuple(
                f"{key}={json_text(value)}" for key, value in (every | {"seed": seed, "threads": 1}).items()
            )
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
