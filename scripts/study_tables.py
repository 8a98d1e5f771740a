"""Write the tables of the routing study's page from its committed CSV files; with ``--check``, only say whether they are current.

    python scripts/study_tables.py docs/routing_study.md

A table stands between ``<!-- table: {KIND: STUDY, ...} -->`` and ``<!-- end of table -->``; KIND is ``cells`` (of ``results.csv``),
``ratios``, ``gains`` or ``contrasts`` (of ``comparison.csv``, which ``tilewire report docs/studies/routing/STUDY`` renews).
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tilewire.student import interval
from tilewire.tables import markdown
from tilewire.yamlfile import parse

STUDIES = Path(__file__).parents[1] / "docs" / "studies" / "routing"
TABLE = re.compile(r"(<!-- table: (\{.*?\}) -->\n\n)(.*?)(\n\n<!-- end of table -->)", re.DOTALL)
NEEDED = "memory_devices_needed_"
COUNTS = {"published": "negotiated", "sized": "negotiated_sized_output", "parameters": "parameters"}
NONE = "–"
Row = dict[str, str]


def rows_of(study: str, name: str) -> list[Row]:
    with (STUDIES / study / name).open(newline="") as handle:
        return list(csv.DictReader(handle))


def number(text: str, shown: Callable[[float], str]) -> str:
    return shown(float(text)) if text else NONE


def with_interval(row: Row, shown: Callable[[float], str], unit: str = "") -> str:
    """Value and ends; an end that is not known is a dash."""
    value, low, high = (number(row[key], shown) for key in ("value", "low95", "high95"))
    return f"{value}{unit} ({low} to {high})"


def points(share: float) -> str:
    return f"{100 * share:+.1f}"


def times(ratio: float) -> str:
    return f"{ratio:.2f}"


def thousands(count: float) -> str:
    return f"{count / 1000:,.0f}"


def mean_of(rows: Sequence[Row], key: str, shown: Callable[[float], str]) -> str:
    values = [float(row[key]) for row in rows if row.get(key)]
    return shown(sum(values) / len(values)) if values else NONE


def cells(cells: str) -> str:
    """Accuracy with its interval, counts of every cell; a cell with fewer trainings than the study has seeds says so."""
    trainings: dict[str, list[Row]] = {}
    for row in rows_of(cells, "results.csv"):
        trainings.setdefault(row["cell"], []).append(row)
    seeds = max(len(rows) for rows in trainings.values())
    lines = []
    for name, rows in trainings.items():
        mean, _, low, high = interval([float(row["test_accuracy"]) for row in rows])
        ends = f" ({100 * low:.1f} to {100 * high:.1f})" if low is not None and high is not None else ""
        few = "" if len(rows) == seeds else f" ({len(rows)} seeds)"
        lines.append([
            f"`{name}`{few}", f"{100 * mean:.1f}{ends}",
            *(mean_of(rows, key, "{:,.0f}".format) for key in ("branches", "parameters")),
            *(mean_of(rows, NEEDED + key, thousands) for key in ("one_turn", "negotiated", "negotiated_sized_output")),
        ])  # fmt: skip
    head = ["cell", "test accuracy", "branches", "parameters", "one-turn", "negotiated", "negotiated, sized"]
    return markdown(head, lines)


def ratios(ratios: str, against: Sequence[str], groups: Sequence[str], at: Sequence[float]) -> str:
    """Memory of the baseline over that of the group at equal accuracy (``at``, in %), in three pairs of counts."""
    found = {
        (row["group"], row["baseline"], row["baseline_count"], row["count"], round(100 * float(row["at"]), 6)): row
        for row in rows_of(ratios, "comparison.csv")
        if row["quantity"] == "memory ratio"
    }
    pairs = [("one_turn", "negotiated"), ("negotiated", "negotiated"), ("negotiated_sized_output",) * 2]
    lines = []
    for baseline in against:
        for level in at:
            for group in (group for group in groups if group != baseline):
                own = [found.get((group, baseline, *pair, float(level))) for pair in pairs]
                shown = [with_interval(row, times, "x") if row and row["value"] else "not reached" for row in own]
                if set(shown) != {"not reached"}:
                    lines.append([baseline, f"{level:g} %", group, *shown])
    head = ["against", "at", "method", "published, one-turn / negotiated", "published, both negotiated", "sized, both"]
    return markdown(head, new_figures(lines, name=2))


def new_figures(lines: Sequence[Sequence[str]], name: int) -> list[Sequence[str]]:
    """Without the lines that differ from an earlier one in column ``name`` only, the group: more time may bring it no better cell."""
    first = {(*line[:name], *line[name + 1 :]): line for line in reversed(lines)}
    return [line for line in lines if first[*line[:name], *line[name + 1 :]] is line]


def gains(
    gains: str,
    against: Sequence[str],
    groups: Sequence[str],
    counts: Sequence[str] = tuple(COUNTS),
    leave: Sequence[str] = (),
) -> str:
    """Points of accuracy at equal memory or parameters, at the sizes of the baseline's best cells but those to ``leave``."""
    rows = [row for row in rows_of(gains, "comparison.csv") if row["quantity"] == "accuracy gain"]
    lines = []
    for baseline in against:
        for group in groups:
            for count in counts:
                for row in rows:
                    cell = row["note"].removeprefix("at ")
                    own = (row["group"], row["baseline"], row["count"], row["baseline_count"])
                    if own == (group, baseline, COUNTS[count], COUNTS[count]) and cell not in leave:
                        at = f"{thousands(float(row['at']))} k"
                        lines.append([group, f"{baseline}, `{cell}`", count, at, with_interval(row, points)])
    return markdown(["method", "less", "count", "at", "points"], new_figures(lines, name=0))


def contrasts(contrasts: str) -> str:
    """Pairs of cells: points of accuracy, devices of the second over the first."""
    rows = rows_of(contrasts, "comparison.csv")
    devices = {(row["note"], row["count"]): row["value"] for row in rows if row["quantity"] == "ratio of cells"}
    lines = [
        [
            row["note"], f"`{row['group']}` / `{row['baseline']}`", with_interval(row, points),
            *(number(devices.get((row["note"], NEEDED + COUNTS[count]), ""), "{:.2f}x".format) for count in ("published", "sized")),
        ]
        for row in rows
        if row["quantity"] == "accuracy difference"
    ]  # fmt: skip
    head = ["what differs", "cells", "points of accuracy", "devices, published: second / first", "sized"]
    return markdown(head, lines)


KINDS: dict[str, Callable[..., str]] = {"cells": cells, "ratios": ratios, "gains": gains, "contrasts": contrasts}


def filled(page: str) -> str:
    """The page with every table written anew. ValueError names a table of no known kind."""

    def table(found: re.Match[str]) -> str:
        order: dict[str, Any] = parse(found[2], "table")
        kind = next((KINDS[key] for key in order if key in KINDS), None)
        if kind is None:
            raise ValueError(f"table {found[2]}: the kind must be one of {', '.join(KINDS)}")
        return found[1] + kind(**order).rstrip("\n") + found[4]

    return TABLE.sub(table, page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a table is not current")
    asked = parser.parse_args()
    old = asked.page.read_text()
    new = filled(old)
    if asked.check:
        return int(new != old)
    asked.page.write_text(new)
    print(f"{asked.page}: {len(TABLE.findall(new))} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main())
