"""What became of a training: read from its run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tilewire.sweep.cells import Cell


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: the objectives of its run, or the error that ended it; the chip as family, grid and neurons per tile."""

    cell: Cell
    verdict: str
    objectives: dict[str, float | None]
    error: str = ""
    chip: str = ""


def finished(cell: Cell) -> bool:
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
