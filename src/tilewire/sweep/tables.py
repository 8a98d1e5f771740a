"""Tables of a sweep: a row a training; means with intervals."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tilewire.checkpoint import replace_file
from tilewire.sweep.outcome import Outcome


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


def interval(values: Sequence[float]) -> tuple[float, float | None, float | None, float | None]:
    """Mean, standard deviation and the 95 % interval of the mean by Student's t; None where one value says nothing of the spread."""
    from scipy.stats import t

    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, None, None, None
    sd = (sum((value - mean) ** 2 for value in values) / (n - 1)) ** 0.5
    half = float(t.ppf(0.975, n - 1)) * sd / n**0.5
    return mean, sd, mean - half, mean + half


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file; nothing stands for None."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return stream.getvalue().encode()
