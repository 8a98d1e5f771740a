"""Tables of a sweep: a row a training; means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tilewire.checkpoint import replace_file
from tilewire.student import interval
from tilewire.sweep.outcome import Outcome
from tilewire.tables import csv_text


def write_tables(out: Path, outcomes: Sequence[Outcome]) -> None:
    """``results.csv``: a row a training. ``summary.csv``: per cell and objective n, mean, standard deviation and 95 % interval."""
    names = sorted({name for outcome in outcomes for name in outcome.objectives})
    rows = [
        [
            o.cell.name,
            o.cell.seed,
            o.verdict,
            o.chip,
            *(o.objectives.get(name) for name in names),
            o.error.splitlines()[0] if o.error else "",
        ]
        for o in outcomes
    ]
    replace_file(out / "results.csv", csv_text(["cell", "seed", "verdict", "chip", *names, "error"], rows))
    summary = []
    for cell in dict.fromkeys(o.cell.name for o in outcomes):
        for name in names:
            values = [v for o in outcomes if o.cell.name == cell and (v := o.objectives.get(name)) is not None]
            if values:
                summary.append([cell, name, len(values), *interval(values)])
    replace_file(out / "summary.csv", csv_text(["cell", "objective", "n", "mean", "sd", "low95", "high95"], summary))
