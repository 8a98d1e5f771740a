"""Sizes of finished runs: branches per hop class and the least device memory under each router, from the stored mapping alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tilewire.checkpoint import lock, replace_file
from tilewire.errors import RunError
from tilewire.hardware.description import load_hardware
from tilewire.mapping.routing import load_mapping
from tilewire.sweep.cells import Cell
from tilewire.sweep.grid import Grid, variants
from tilewire.sweep.outcome import Outcome, outcome_of
from tilewire.sweep.tables import write_tables

ROUTERS = ("one-turn", "negotiated")


def sized_objectives(folder: Path, seed: int) -> dict[str, dict[str, Any]]:
    """The objectives ``branches_hop_class_*`` and ``memory_devices_needed_*`` of a run folder, as its evaluation writes them.

    Only ``hardware.yaml``, ``mapping.npz`` and the router of ``evaluation.json`` are read: no data, no weights. ``seed`` is the run's.
    """
    from tilewire.evaluate import wiring_objectives

    router = json.loads((folder / "evaluation.json").read_text())["mapping"]["router"]
    fabric = load_hardware(folder / "hardware.yaml")
    mapping, nets = load_mapping(folder / "mapping.npz", fabric, router=router)
    return wiring_objectives(fabric, mapping, nets, ROUTERS, seed)


def resize_run(folder: Path, seed: int, *, again: bool = False) -> bool:
    """Add the sizes to ``evaluation.json`` of a finished run; says whether anything was computed. ``again``: also if they are there.

    Other objectives stay as they are.
    """
    path = folder / "evaluation.json"
    content = json.loads(path.read_text())
    wanted = [f"memory_devices_needed_{name.replace('-', '_')}_sized_output" for name in ROUTERS]
    if not again and all(name in content["objectives"] for name in wanted):
        return False
    content["objectives"] |= sized_objectives(folder, seed)
    replace_file(path, json.dumps(content, indent=2).encode())
    return True


def resize_sweep(grid: Grid, out: Path, *, report: Callable[[int, int, Outcome], None] | None = None) -> list[Outcome]:
    """Sizes of all finished runs of a sweep folder, without training; rewrites its tables. Runs of any older version count.

    Cells without a finished run are listed as such. Raises `RunError` if the sweep is running, or a run cannot be read.
    """
    cells = [Cell(label, seed, (), out / label / f"seed-{seed}") for label, _ in variants(grid) for seed in grid.seeds]
    outcomes: list[Outcome] = []
    with lock(out):
        for cell in cells:
            finished = (cell.folder / "evaluation.json").is_file()
            try:
                if finished:
                    resize_run(cell.folder, cell.seed)
                outcomes.append(outcome_of(cell, "" if finished else "not run"))
            except (OSError, ValueError, KeyError) as error:
                raise RunError(f"{type(error).__name__}: {error}", where=str(cell.folder)) from error
            if report is not None:
                report(len(outcomes), len(cells), outcomes[-1])
        write_tables(out, outcomes)
    return outcomes
