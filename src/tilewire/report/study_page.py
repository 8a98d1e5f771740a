"""The page of a study: who won, every design over all knobs and objectives with brushes, all pairwise fronts, what could not be."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from tilewire.checkpoint import replace_file
from tilewire.errors import RunError
from tilewire.report.markup import Markup, card, figure, table, tag
from tilewire.report.scale import MISSING, number, shown, ticks
from tilewire.report.shell import asset, document

ARMS = {"search": ("s0", "search"), "random": ("s1", "random search"), "hand": ("s2", "made by hand")}
WIDTH, HEIGHT, TOP, BOTTOM, SIDE = 1160.0, 360.0, 76.0, 22.0, 60.0
SCATTER, MARGIN = 300.0, 46.0
LISTED = 40  # rows of a table; the CSV has all


@dataclass(frozen=True)
class Axis:
    """One vertical axis of the parallel coordinates: a name, the place in [0, 1] of every design, marks (place, text)."""

    name: str
    places: tuple[float | None, ...]
    marks: tuple[tuple[float, str], ...]
    knob: bool


def write_study_report(folder: Path) -> Path:
    """Write ``report.html`` from ``summary.json`` and ``trials.csv`` of a study. Raises `RunError` if they are missing or damaged."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
        with open(folder / "trials.csv", newline="", encoding="utf-8") as handle:
            trials = list(csv.DictReader(handle))
        page = render(folder.resolve().name, summary, trials)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"no readable study: {type(error).__name__}: {error}", where=str(folder)) from error
    path = folder / "report.html"
    replace_file(path, page.encode())
    return path


def render(name: str, summary: Mapping[str, Any], trials: Sequence[Mapping[str, str]]) -> str:
    """The page of a study as HTML text."""
    return document(
        f"{name}: Tilewire study",
        _head(name, summary),
        _volumes(summary),
        _designs(summary, trials),
        _pairs(summary, trials),
        _front(summary),
        _infeasible(summary),
        script=asset("brush.js"),
    )


def _head(name: str, summary: Mapping[str, Any]) -> Markup:
    won = summary["arms"]["search"]["hypervolume"]
    random = summary["arms"]["random"]["hypervolume"]
    open_ = sum(arm["states"].get("open", 0) for arm in summary["arms"].values())
    state = f"{open_} trainings still open" if open_ else "all trainings done"
    senses = ", ".join(f"{sense} {objective}" for objective, sense in summary["objectives"].items())
    ratio = f"{won / random:.2f} times the hypervolume of random search" if random else "random search found nothing"
    return tag(
        "header",
        tag("div", "Tilewire study", class_="overline"),
        tag("h1", f"{name}: {ratio}"),
        tag(
            "p",
            f"{senses}; seed {summary['seed']}; {state}. One study says little of chance: repeat it with other seeds.",
            class_="subtitle",
        ),
    )


def _volumes(summary: Mapping[str, Any]) -> Markup:
    rows = [
        (
            ARMS[arm][1] + (f" ({summary['hand']['name']})" if arm == "hand" else ""),
            shown(entry["trainings"]),
            ", ".join(f"{count} {state}" for state, count in entry["states"].items()),
            shown(len(entry["front"])),
            shown(entry["hypervolume"]),
        )
        for arm, entry in summary["arms"].items()
    ]
    beaten = {True: "beaten in every objective by a design of the search.", False: "not beaten in every objective at once.",
              None: "not comparable: it does not fit, breaks a constraint, or the search found nothing."}  # fmt: skip
    hand = f"{summary['hand']['name']}: {beaten[summary['hand']['dominated']]}"
    note = f"Hypervolume: share of the box up to the reference point that a front dominates. {hand}"
    return card(
        "Arms", table(("arm", "trainings", "", "on its front", "hypervolume"), rows, numeric=(1, 3, 4)), note=note
    )


def _columns(summary: Mapping[str, Any], trials: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    fixed = {"arm", "k", "stage", "generation", "seed", "state", "reason"}
    names = [name for name in (trials[0] if trials else {}) if name not in fixed]
    objectives = list(summary["objectives"])
    return [name for name in names if name not in objectives], objectives


def _axis(name: str, texts: Sequence[str], knob: bool) -> Axis:
    """An axis of numbers, or of choices in their order of appearance; values over three decades are spread by their logarithm."""
    values = [_value(text) for text in texts]
    present = [value for value in values if value is not None]
    figures = [value for value in present if isinstance(value, float)]
    if len(figures) < len(present) or not present:
        choices = sorted({str(value) for value in present})
        place = {choice: i / max(len(choices) - 1, 1) for i, choice in enumerate(choices)}
        found = tuple(None if value is None else place[str(value)] for value in values)
        return Axis(name, found, tuple((at, text) for text, at in place.items()), knob)
    log = min(figures) > 0 and max(figures) > 30 * min(figures)
    scaled = [math.log10(v) if log else v for v in figures]
    low, high = min(scaled), max(scaled)
    span = high - low or 1.0
    marks = (
        tuple(((m - low) / span, shown(10**m if log else m, 3)) for m in (low, (low + high) / 2, high))
        if high > low
        else ((0.0, shown(figures[0], 3)),)
    )
    rest = iter(scaled)
    return Axis(name, tuple(None if v is None else (next(rest) - low) / span for v in values), marks, knob)


def _value(text: str) -> float | str | None:
    if text == "":
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return text
    figure = number(value)
    return str(value) if figure is None else figure


def _designs(summary: Mapping[str, Any], trials: Sequence[Mapping[str, str]]) -> Markup:
    """Parallel coordinates; drag along an axis to keep what passes there."""
    knobs, objectives = _columns(summary, trials)
    done = [trial for trial in trials if trial["state"] == "complete"]
    if not done:
        return Markup()
    axes = [_axis(name, [trial[name] for trial in done], True) for name in knobs]
    axes += [_axis(name, [trial[name] for trial in done], False) for name in objectives]
    x = [SIDE + i * (WIDTH - 2 * SIDE) / max(len(axes) - 1, 1) for i in range(len(axes))]
    base, height = HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM
    lines = []
    for row, trial in enumerate(done):
        points = [
            (x[i], base - height * place) for i, axis in enumerate(axes) if (place := axis.places[row]) is not None
        ]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        places = [axis.places[row] for axis in axes]
        lines.append(
            tag("polyline", points=path, class_=f"line {ARMS[trial['arm']][0]} design {trial['stage']}", data_row=row,
                data_places=json.dumps(places), data_tip=_tip(trial, knobs, objectives))
        )  # fmt: skip
    frames = [_frame(axis, i, x[i], base, height) for i, axis in enumerate(axes)]
    drawing = tag(
        "svg",
        *lines,
        *frames,
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        class_="parallel",
        role="img",
        aria_label="designs",
    )
    arms = [
        tag("span", tag("span", class_=f"swatch part {c}"), f" {ARMS[arm][1]}")
        for c, arm in zip("abc", ARMS, strict=True)
    ]
    clear = tag("button", "clear all brushes", id="clear", type="button")
    legend = tag("div", *arms, tag("span", "thin: short training, thick: full training"), clear, class_="legend")
    note = (
        "Every finished training, knobs then objectives. Drag along an axis to keep only the designs that pass there."
    )
    return card("Designs", drawing, legend, note=note)


def _tip(trial: Mapping[str, str], knobs: Sequence[str], objectives: Sequence[str]) -> str:
    head = f"{trial['arm']} {trial['k']}, {trial['stage']} training"
    figures = [f"{name}\t{shown(number(_value(trial[name])))}" for name in objectives]
    return "\n".join([head, *figures, *(f"{name}\t{trial[name] or MISSING}" for name in knobs)])


def _frame(axis: Axis, index: int, x: float, base: float, height: float) -> Markup:
    """An axis with its name (neighbours at two heights, so that long ones do not meet), its marks, its brush and the grip that draws it."""
    words = axis.name.rsplit(".", 1)
    down = 30.0 * (index % 2)
    above = words[0] if len(words) > 1 else "" if axis.knob else "objective"
    head = tag("text", words[-1], x=x, y=down + 12, class_="axis" if axis.knob else "strong", text_anchor="middle")
    path = tag("text", above, x=x, y=down + 26, class_="axis", text_anchor="middle")
    marks = [tag("text", text, x=x + 5, y=base - height * place + 4, class_="axis") for place, text in axis.marks]
    line = tag("line", x1=x, x2=x, y1=base - height, y2=base, class_="zero")
    brush = tag("rect", x=x - 5, width=10.0, class_="brush", y=0.0, height=0.0)
    grip = tag(
        "rect", x=x - 14, y=base - height - 4, width=28.0, height=height + 8, class_="grip", data_axis=index,
        data_top=base - height, data_height=height,
    )  # fmt: skip
    return tag("g", head, path, line, *marks, brush, grip)


def _pairs(summary: Mapping[str, Any], trials: Sequence[Mapping[str, str]]) -> Markup:
    """A scatter plot of every pair of objectives, full trainings filled."""
    _, objectives = _columns(summary, trials)
    done = [trial for trial in trials if trial["state"] == "complete"]
    pairs = list(combinations(objectives, 2))
    if not done or not pairs:
        return Markup()
    plots = [figure(f"{b} against {a}", _scatter(a, b, done, summary["objectives"])) for a, b in pairs]
    note = "Filled: full trainings. Better is towards the marked corner."
    return card("Pairwise fronts", tag("div", *plots, class_="charts pairs"), note=note)


def _scatter(a: str, b: str, done: Sequence[Mapping[str, str]], senses: Mapping[str, str]) -> Markup:
    rows = [(i, trial, number(_value(trial[a])), number(_value(trial[b]))) for i, trial in enumerate(done)]
    kept = [(i, trial, u, v) for i, trial, u, v in rows if u is not None and v is not None]
    if not kept:
        return Markup()
    across, up = (
        ticks(min(r[2] for r in kept), max(r[2] for r in kept), 4),
        ticks(min(r[3] for r in kept), max(r[3] for r in kept), 4),
    )

    def x(value: float) -> float:
        return MARGIN + 14 + (SCATTER * 1.35 - MARGIN - 24) * (value - across[0]) / (across[-1] - across[0])

    def y(value: float) -> float:
        return SCATTER - MARGIN - (SCATTER - MARGIN - 12) * (value - up[0]) / (up[-1] - up[0])

    grid = [tag("line", x1=x(across[0]), x2=x(across[-1]), y1=y(m), y2=y(m), class_="grid") for m in up]
    texts = [tag("text", shown(m, 3), x=MARGIN + 8, y=y(m) + 4, class_="axis", text_anchor="end") for m in up]
    texts += [
        tag("text", shown(m, 3), x=x(m), y=SCATTER - MARGIN + 18, class_="axis", text_anchor="middle") for m in across
    ]
    best = tag(
        "circle",
        cx=x(across[-1] if senses[a] == "maximise" else across[0]),
        cy=y(up[-1] if senses[b] == "maximise" else up[0]),
        r=7,
        class_="corner",
    )
    dots = [
        tag("circle", cx=x(u), cy=y(v), r=4.5 if trial["stage"] == "full" else 3, data_row=i,
            data_tip=f"{trial['arm']} {trial['k']}\n{a}\t{shown(u)}\n{b}\t{shown(v)}",
            class_=f"dot {ARMS[trial['arm']][0]} {trial['stage']}")
        for i, trial, u, v in kept
    ]  # fmt: skip
    name = tag("text", a, x=SCATTER * 0.7, y=SCATTER - 8, class_="axis", text_anchor="middle")
    return tag(
        "svg",
        *grid,
        *texts,
        best,
        *dots,
        name,
        viewBox=f"0 0 {SCATTER * 1.35:.0f} {SCATTER:.0f}",
        class_="chart",
        role="img",
        aria_label=f"{b} against {a}",
    )


def _front(summary: Mapping[str, Any]) -> Markup:
    names = list(summary["objectives"])
    points = summary["arms"]["search"]["front"]
    if not points:
        return card("Front", note="No full training of the search fits and keeps every constraint.")
    rows = [
        (*(shown(point["objectives"][name]) for name in names), shown(point["seeds"]), tag("code", point["command"]))
        for point in points[:LISTED]
    ]
    note = "Means over the seeds of each design; the command repeats its first training. All points of all arms: front.csv."
    return card(
        "Front of the search", table((*names, "seeds", "command"), rows, numeric=range(len(names) + 1)), note=note
    )


def _infeasible(summary: Mapping[str, Any]) -> Markup:
    rows = [(ARMS[entry["arm"]][1], entry["k"], entry["reason"]) for entry in summary["infeasible"]]
    if not rows:
        return Markup()
    note = f"{len(rows)} designs that cannot be, with the reason" + (
        f"; the first {LISTED}." if len(rows) > LISTED else "."
    )
    return card("What could not be", table(("arm", "number", "reason"), rows[:LISTED], numeric=(1,)), note=note)
