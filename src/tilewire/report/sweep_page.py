"""The page of a sweep: accuracy against device memory per method, ratios at equal accuracy, gains, every cell, what failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from tilewire.checkpoint import replace_file
from tilewire.errors import RunError
from tilewire.report.drawing import standalone
from tilewire.report.markup import Markup, card, figure, join, table, tag
from tilewire.report.memory_plot import HEIGHT, WIDTH, Dot, Plot, colour, memory_plot
from tilewire.report.scale import MISSING, number, percent, shown
from tilewire.report.shell import document

Content = Mapping[str, Any]
Made = TypeVar("Made")
SHORT = {
    "one_turn": "one-turn",
    "negotiated": "negotiated",
    "one_turn_sized_output": "one-turn, sized",
    "negotiated_sized_output": "negotiated, sized",
    "parameters": "parameters",
}
HEADLINES = (("one_turn", "one_turn"), ("one_turn", "negotiated"), ("negotiated", "negotiated"),
             ("negotiated_sized_output", "negotiated_sized_output"))  # fmt: skip


def write_sweep_report(folder: Path) -> Path:
    """Write ``report.html`` from the ``comparison.json`` of a sweep folder. Raises `RunError` if it is missing or damaged."""
    path = folder / "report.html"
    replace_file(path, _from_comparison(folder, lambda content: render(folder.resolve().name, content)).encode())
    return path


def write_sweep_drawings(folder: Path) -> list[Path]:
    """Write accuracy against device memory as ``accuracy_COUNT.svg``, a file a count. Raises `RunError` as `write_sweep_report`."""
    drawings = _from_comparison(
        folder,
        lambda content: {
            f"accuracy_{count}.svg": standalone(
                plot, (WIDTH, HEIGHT), f"{folder.resolve().name}: {title}", _legend(content)
            )
            for count, (title, plot) in memory_plots(content).items()
        },
    )
    for name, text in drawings.items():
        replace_file(folder / name, text.encode())
    return [folder / name for name in drawings]


def _from_comparison(folder: Path, make: Callable[[Content], Made]) -> Made:
    """What ``make`` makes of ``comparison.json``; the error says if that cannot be read, or lacks what it should hold."""
    try:
        return make(json.loads((folder / "comparison.json").read_text()))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise RunError(f"no readable comparison: {type(error).__name__}: {error}", where=str(folder)) from error


def _legend(content: Content) -> list[tuple[str, str]]:
    """Colour and name of every method, and of cells that belong to none."""
    methods = [(colour(i), name) for i, name in enumerate(content["groups"])]
    other = any(row["figures"] and not row["groups"] for row in content["cells"])
    return [*methods, (colour(None), "of no method")] if other else methods


def render(name: str, content: Content) -> str:
    """The page of a sweep as HTML text."""
    return document(
        f"{name}: Tilewire sweep",
        _head(name, content), _headline(content), _plots(content), _ratios(content), _gains(content), _contrasts(content), _cells(content),
        _floors(content), _failed(content), _provenance(content),
    )  # fmt: skip


def _head(name: str, content: Content) -> Markup:
    cells, seeds = content["cells"], content["seeds"]
    runs, asked = sum(row["seeds"] for row in cells), content["trainings"] or sum(row["seeds"] for row in cells)
    whole = sum(row["complete"] for row in cells)
    state = f"{runs} of {asked} trainings" if runs < asked else f"all {runs} trainings done"
    few = "" if len(seeds) >= 5 else " Fewer than 5 seeds: no intervals of ratios and gains."
    return tag(
        "header",
        tag("div", "Tilewire sweep", class_="overline"),
        tag("h1", f"{name}: {len(content['groups'])} methods, {whole} complete cells, {len(seeds)} seeds"),
        tag(
            "p",
            f"{state}; compared with: {' · '.join(content['baselines'])}. Intervals are of 95 %.{few}",
            class_="subtitle",
        ),
    )


def _headline(content: Content) -> Markup:
    """Per method and baseline the ratios at the highest accuracy that both reach, in the counts that matter."""
    rows = []
    for baseline, group in product(content["baselines"], content["groups"]):
        known = [
            r for r in _between(content, "ratios", baseline, group) if r["ratio"]["value"] is not None and not r["note"]
        ]
        if group == baseline or not known:
            continue
        best = max(r["accuracy"] for r in known)
        here = {(r["baseline_count"], r["count"]): r["ratio"] for r in known if r["accuracy"] == best}
        ratios = (_stacked(here[pair], _times) if pair in here else MISSING for pair in HEADLINES)
        rows.append((group, baseline, percent(best), *ratios))
    head = ("method", "against", "at accuracy", *_heads(HEADLINES))
    note = "Device memory of the baseline over that of the method, at the highest accuracy that both reach."
    return card("In short", table(head, rows, numeric=range(2, len(head))), note=note) if rows else Markup()


def _between(content: Content, what: str, baseline: str, group: str) -> list[Content]:
    """Ratios or gains of one method against one baseline."""
    return [row for row in content[what] if (row["baseline"], row["group"]) == (baseline, group)]


def _times(value: object) -> str:
    figure_ = number(value)
    return MISSING if figure_ is None else f"{shown(figure_, 3)}×"


def _points(value: object) -> str:
    gain = number(value)
    return MISSING if gain is None else f"{100 * gain:+.1f}".replace("-", "−")


def _span(low: object, high: object, text: Any) -> str:
    return "no interval" if low is None and high is None else f"{text(low)} to {text(high)}"


def _cell(entry: Content, text: Any) -> str:
    """A figure with its interval, in one line."""
    ends = _ends(entry, text)
    return f"{text(entry['value'])} ({ends})" if ends else str(text(entry["value"]))


def _ends(entry: Content, text: Any) -> str:
    low, high = entry["low95"], entry["high95"]
    return "" if low is None and high is None else f"{text(low)} to {text(high)}"


def _stacked(entry: Content, text: Any) -> Markup:
    """A figure with its interval below it."""
    ends = _ends(entry, text)
    return join([text(entry["value"]), tag("span", ends, class_="ends")] if ends else [text(entry["value"])])


def memory_plots(content: Content) -> dict[str, tuple[str, Markup]]:
    """Title and drawing of accuracy against device memory, for every count that the sweep has."""
    names, found = list(content["groups"]), {}
    for count, text in content["counts"].items():
        key = f"memory_devices_needed_{count}"
        dots = [_dot(row, key, names) for row in content["cells"] if key in row["figures"]]
        if not dots:
            continue
        lines = {i: [(p[0], p[1]) for p in content["fronts"][name].get(count, ())] for i, name in enumerate(names)}
        kind = "sized_output" if count.endswith("sized_output") else "published"
        floors = {chip: float(values[kind]) for chip, values in content["floors"].items()}
        found[count] = text[0].upper() + text[1:], memory_plot(Plot(dots, lines, floors), text)
    return found


def _plots(content: Content) -> Markup:
    drawn = memory_plots(content).values()
    if not drawn:
        return card(
            "Accuracy against device memory",
            note="No sizes yet: tilewire sweep GRID --resize computes them for finished runs.",
        )
    methods = [
        tag(
            "span",
            tag("svg", tag("circle", cx=6, cy=6, r=5, class_=f"dot {of}"), viewBox="0 0 12 12", class_="mark"),
            f" {name}",
        )
        for of, name in _legend(content)
    ]
    rest = tag(
        "span",
        "lines: front of a method; whiskers: 95 % of the mean; dashed: least devices of any network on that grid",
    )
    note = (
        "Test accuracy against the devices of the smallest homogeneous chip that carries the nets, mean over seeds; equal steps up are "
        "equal factors of the errors left. "
        "Hollow: a seed is missing, not compared."
    )
    return card(
        "Accuracy against device memory",
        tag("div", *(figure(*plot) for plot in drawn), class_="charts"),
        tag("div", *methods, rest, class_="legend"),
        note=note,
    )


def _dot(row: Content, key: str, names: Sequence[str]) -> Dot:
    x, y = row["figures"][key], row["figures"]["test_accuracy"]
    index = names.index(row["groups"][0]) if row["groups"] else None
    tip = [
        f"{row['cell']} ({row['seeds']} seeds)",
        f"test accuracy\t{_cell(y, percent)}",
        f"devices\t{_cell(x, shown)}",
    ]
    return Dot(
        x["value"],
        y["value"],
        (x["low95"], x["high95"]),
        (y["low95"], y["high95"]),
        index,
        row["complete"],
        "\n".join(tip),
    )


def _pairs(rows: Sequence[Content]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["baseline_count"], row["count"]) for row in rows))


def _heads(pairs: Sequence[tuple[str, str]]) -> list[Markup]:
    return [
        join([SHORT[a]]) if a == b else join([SHORT[a], tag("br"), "→ ", SHORT[b]])
        for a, b in pairs
    ]  # fmt: skip


def _ratios(content: Content) -> Markup:
    """Per baseline and method a table: accuracies down, pairs of counts across."""
    parts = []
    for baseline, group in product(content["baselines"], content["groups"]):
        rows = _between(content, "ratios", baseline, group)
        pairs = _pairs(rows)
        found = {(row["accuracy"], row["baseline_count"], row["count"]): row for row in rows}
        lines = []
        for level in sorted({row["accuracy"] for row in rows}):
            here = [found.get((level, *pair)) for pair in pairs]
            notes = {row["note"] for row in here if row and row["note"]}
            lines.append(
                [
                    percent(level),
                    *(_stacked(r["ratio"], _times) if r else MISSING for r in here),
                    "; ".join(sorted(notes)),
                ]
            )
        if lines:
            own = f"{group} against {baseline}" if group != baseline else f"{group}: what its router and sizing save"
            parts.append(figure(own, table(("accuracy", *_heads(pairs), ""), lines, numeric=range(len(pairs) + 1))))
    if not parts:
        return Markup()
    note = (
        "Device memory of the baseline over that of the method. One count: both are counted so; a → b: baseline counted as a, method as b. "
        "Interpolated on the fronts, linear in the logarithm of memory; nothing is extrapolated. "
        "An end at 0×: some resamples of the method do not reach the accuracy."
    )
    return card("Device memory at equal accuracy", tag("div", *parts, class_="stack"), note=note)


def _gains(content: Content) -> Markup:
    """Per baseline and method a table: cells of the baseline's front down, counts across."""
    parts = []
    for baseline, group in product(content["baselines"], content["groups"]):
        rows = _between(content, "gains", baseline, group)
        pairs = _pairs(rows)
        found = {(row["at_cell"], row["baseline_count"], row["count"]): row for row in rows}
        lines = [
            [cell, *(_gain(found.get((cell, *pair))) for pair in pairs)]
            for cell in dict.fromkeys(row["at_cell"] for row in rows)
        ]
        if lines and group != baseline:
            own = f"{group} less {baseline}"
            parts.append(figure(own, table(("baseline cell", *_heads(pairs)), lines, numeric=range(1, len(pairs) + 1))))
    if not parts:
        return Markup()
    note = (
        "Points of test accuracy that the method gains over a cell of the baseline's front, given the devices (parameters) that this cell "
        "has. Beyond its dearest cell the method counts as flat; – where it has no cell so cheap."
    )
    return card("Accuracy at equal memory and at equal parameters", tag("div", *parts, class_="stack"), note=note)


def _gain(row: Content | None) -> object:
    if row is None:
        return MISSING
    unit = "parameters" if row["count"] == "parameters" else "devices"
    return tag("span", _stacked(row["gain"], _points), data_tip=f"{row['at_cell']}\n{unit}\t{shown(round(row['at']))}")


def _contrasts(content: Content) -> Markup:
    """Pairs of cells that differ in one thing, a row each."""
    counts = [*content["counts"], "parameters"]
    keys = [c if c == "parameters" else f"memory_devices_needed_{c}" for c in counts]
    rows = [
        (
            row["name"],
            tag("span", " / ".join(row["cells"]), class_="name"),
            row["seeds"],
            _stacked(row["difference"], _points),
            *(_stacked(row["ratios"][key], _times) if key in row["ratios"] else MISSING for key in keys),
        )
        for row in content["contrasts"]
    ]
    head = ("what differs", "cells", "seeds", "points of accuracy", *(SHORT[c] for c in counts))
    note = (
        "Accuracy of the first cell less the second, and devices (parameters) of the second over the first, paired by seed, "
        "with Student's interval."
    )
    return card("One thing at a time", table(head, rows, numeric=range(2, len(head))), note=note) if rows else Markup()


def _cells(content: Content) -> Markup:
    keys = [f"memory_devices_needed_{count}" for count in content["counts"]]
    empty = {"value": None, "low95": None, "high95": None}
    rows = []
    for row in content["cells"]:
        own = {name: row["figures"].get(name, empty) for name in ("test_accuracy", "parameters", "branches", *keys)}
        means = (
            shown(round(own[n]["value"])) if own[n]["value"] is not None else MISSING
            for n in ("parameters", "branches", *keys)
        )
        rows.append(
            (
                tag("span", row["cell"], class_="name"),
                ", ".join(row["groups"]),
                row["seeds"],
                _cell(own["test_accuracy"], percent),
                *means,
            )
        )
    head = (
        "cell",
        "methods",
        "seeds",
        "test accuracy",
        "parameters",
        "branches",
        *(SHORT[c] for c in content["counts"]),
    )
    note = "Means over seeds, intervals by Student's t. The last four columns: devices that the nets need."
    return card("Cells", table(head, rows, numeric=range(2, len(head))), note=note)


def _floors(content: Content) -> Markup:
    rows = [(chip, shown(v["published"]), shown(v["sized_output"])) for chip, v in content["floors"].items()]
    note = "Least devices of any network on a grid: own crossbars, and the lines that are always wired."
    head = ("family and grid x neurons per tile", "tile outputs S wide", "tile outputs sized")
    return card("Floors", table(head, rows, numeric=(1, 2)), note=note) if rows else Markup()


def _failed(content: Content) -> Markup:
    """Seeds of a cell that share a reason stand in one row."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for row in content["failed"]:
        seeds.setdefault((row["cell"], str(row["error"]).splitlines()[0]), []).append(str(row["seed"]))
    if not seeds:
        return Markup()
    rows = [(cell, ", ".join(own), reason) for (cell, reason), own in seeds.items()]
    note = f"{len(content['failed'])} trainings without a result."
    return card("Failed or not run", table(("cell", "seeds", "reason"), rows), note=note)


def _provenance(content: Content) -> Markup:
    command = content["command"] or "not known"
    note = "Figures of this page: comparison.json, comparison.csv; every training: results.csv."
    return card("Made by", tag("pre", command), note=note)
