"""Finished trainings of a sweep as its ``results.csv`` lists them, and the chips they were trained for."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tilewire.errors import RunError, UsageError
from tilewire.hardware.description import from_mapping
from tilewire.hardware.fabric import TileFabric
from tilewire.mapping.needed import wired_out

TEXTS = ("cell", "seed", "verdict", "chip", "error")
RESULTS = "results.csv"


@dataclass(frozen=True)
class Training:
    """A row of ``results.csv``: ``values`` holds the objectives that it has; ``error`` is empty for a finished run."""

    cell: str
    seed: int
    chip: str
    values: dict[str, float]
    error: str = ""


def read_trainings(folder: Path) -> list[Training]:
    """The trainings of a sweep folder. Raises `RunError` if the table is missing or damaged."""
    path = folder / RESULTS
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            return [_training(row) for row in csv.DictReader(handle)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(
            f"no readable sweep: {type(error).__name__}: {error}", where=str(path), hint="a folder of `tilewire sweep`"
        ) from error


def _training(row: dict[str, str]) -> Training:
    figures = {name: float(text) for name, text in row.items() if name not in TEXTS and text}
    finite = {name: value for name, value in figures.items() if math.isfinite(value)}
    return Training(row["cell"], int(row["seed"]), row.get("chip") or "", finite, row["error"])


@lru_cache(maxsize=64)
def fabric_of(chip: str) -> TileFabric:
    """A chip of this family, grid and neurons per tile ("mosaic 5x5x32"), S channels everywhere, tile outputs S wide.

    Raises `UsageError` for a text that names none.
    """
    found = re.fullmatch(r"(\w+) (\d+)x(\d+)x(\d+)", chip)
    if found is None:
        raise UsageError(f"'{chip}' names no chip", hint="FAMILY ROWSxCOLUMNSxNEURONS, e.g. mosaic 5x5x32")
    rows, columns, size = (int(found[i]) for i in (2, 3, 4))
    return from_mapping(
        {"family": found[1], "grid": [rows, columns], "neurons_per_tile": size, "channels": {"router": size, "tile_in": size}}
    )  # fmt: skip


def floors(chip: str) -> tuple[int, int]:
    """Least device memory M that any network on this grid can have: tile outputs S wide as published, and sized."""
    fabric = wired_out(fabric_of(chip))
    idle = np.zeros(fabric.n_links, np.int32)
    published, sized = (fabric.memory(fabric.widths_for(idle, tile_out_sized=s)).total for s in (False, True))
    return published, sized


def densities(training: Training) -> dict[int, float]:
    """Density of live branches per hop class: branches_d / (S n_d), n_d = ordered tile pairs at distance d. {} where it is not known."""
    if not training.chip:
        return {}
    fabric = fabric_of(training.chip)
    prefix = "branches_hop_class_"
    counts = {int(k.removeprefix(prefix)): v for k, v in training.values.items() if k.startswith(prefix)}
    pairs = fabric.hop_classes
    return {d: counts[d] / (fabric.neurons_per_tile * n) for d, n in pairs.items() if d in counts}


def unfinished(trainings: Sequence[Training]) -> list[Training]:
    """Trainings that ended with an error or have not run."""
    return [one for one in trainings if one.error or "test_accuracy" not in one.values]
