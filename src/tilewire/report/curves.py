"""Line charts over epochs as SVG: direct labels, reference lines, one tooltip per epoch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tilewire.report.markup import Markup, figure, join, tag
from tilewire.report.run_folder import at
from tilewire.report.scale import finite, number, percent, shown, ticks

WIDTH, HEIGHT = 560.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 96.0, 10.0, 30.0
LABEL_GAP = 14.0
COLOURS = 8  # series classes s0..s7 of the style sheet
Shown = Callable[[object], str]


@dataclass(frozen=True)
class Series:
    """One line: a name, a value (or None) per epoch, its colour; a dashed one is a reference, named at its end if ``labelled``."""

    name: str
    values: tuple[float | None, ...]
    colour: int = 0
    dashed: bool = False
    labelled: bool = True


def column(metrics: Sequence[Mapping[str, Any]], *path: str) -> tuple[float | None, ...]:
    """One field of the metrics over epochs."""
    return tuple(number(at(record, *path)) for record in metrics)


def chart(title: str, series: Sequence[Series], text: Shown = shown, *, low: float | None = None, high: float | None = None,
          whole: bool = False, note: object = None) -> Markup:  # fmt: skip
    """A chart of the series that hold any value; empty if none does."""
    kept = [s for s in series if finite(s.values)]
    if not kept:
        return Markup()
    seen = [v for s in kept for v in finite(s.values)]
    marks = ticks(
        min(seen) if low is None else min(low, *seen), max(seen) if high is None else max(high, *seen), whole=whole
    )
    epochs = len(kept[0].values)

    def x(epoch: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch / (epochs - 1) if epochs > 1 else 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - marks[0]) / (marks[-1] - marks[0])

    frame = _frame(marks, epochs, x, y, text)
    lines = join(_line(s, x, y) for s in kept)
    labels = _labels(kept, y, text)
    tips = [
        "\n".join([f"epoch {e}", *(f"{s.name}\t{text(s.values[e])}" for s in kept if s.values[e] is not None)])
        for e in range(epochs)
    ]
    cursor = tag("line", x1=0.0, x2=0.0, y1=TOP, y2=HEIGHT - BOTTOM, class_="cursor")
    drawing = tag(
        "svg", frame, lines, labels, cursor, viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", class_="chart", role="img", aria_label=title,
        data_tips=json.dumps(tips, ensure_ascii=False), data_x0=x(0), data_x1=x(epochs - 1),
    )  # fmt: skip
    return figure(title, drawing, note=note)


def _frame(
    marks: Sequence[float], epochs: int, x: Callable[[float], float], y: Callable[[float], float], text: Shown
) -> Markup:
    """Grid lines with their values, epochs along the bottom."""
    grid = [
        tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(m), y2=y(m), class_="zero" if m == 0 else "grid") for m in marks
    ]
    values = [tag("text", text(m), x=LEFT - 7, y=y(m) + 4, class_="axis", text_anchor="end") for m in marks]
    steps = [e for e in ticks(0, max(epochs - 1, 1), 6, whole=True) if e <= max(epochs - 1, 0)]
    below = [tag("text", int(e), x=x(e), y=HEIGHT - BOTTOM + 17, class_="axis", text_anchor="middle") for e in steps]
    name = tag("text", "epoch", x=LEFT - 12, y=HEIGHT - BOTTOM + 17, class_="axis", text_anchor="end")
    return join([*grid, *values, *below, name])


def _line(series: Series, x: Callable[[float], float], y: Callable[[float], float]) -> Markup:
    """The line, broken where a value is missing, with points while they can be told apart."""
    colour, path, pen = f"s{series.colour % COLOURS}", [], "M"
    for epoch, value in enumerate(series.values):
        if value is None:
            pen = "M"
            continue
        path.append(f"{pen}{x(epoch):.1f} {y(value):.1f}")
        pen = "L"
    drawn = tag("path", d="".join(path), class_=f"line {colour}{' dashed' if series.dashed else ''}")
    if series.dashed or len(series.values) > 12:
        return drawn
    dots = ((e, v) for e, v in enumerate(series.values) if v is not None)
    return join([drawn, *(tag("circle", cx=x(e), cy=y(v), r=2.6, class_=f"dot {colour}") for e, v in dots)])


def _labels(series: Sequence[Series], y: Callable[[float], float], text: Shown) -> Markup:
    """Names and last values at the right end, pushed apart so that none covers another."""
    last = {s.name: finite(s.values)[-1] for s in series}
    wanted = [(y(last[s.name]), f"{s.name} {text(last[s.name])}", s.colour % COLOURS) for s in series if s.labelled]
    wanted.sort()
    places: list[float] = []
    for level, _, _ in wanted:
        places.append(max(level, places[-1] + LABEL_GAP) if places else level)
    excess = max(places[-1] - (HEIGHT - BOTTOM), 0.0)
    for i in range(len(places) - 1, -1, -1):  # push the stack back up if it left the bottom
        limit = places[i + 1] - LABEL_GAP if i + 1 < len(places) else HEIGHT - BOTTOM
        places[i] = min(places[i], limit) if excess else places[i]
    return join(
        tag("text", name, x=WIDTH - RIGHT + 8, y=place + 4, class_=f"label s{colour}")
        for place, (_, name, colour) in zip(places, wanted, strict=True)
    )


def training_curves(
    metrics: Sequence[Mapping[str, Any]], profile: Mapping[object, object], baseline: float | None
) -> Markup:
    """Accuracy, loss, density per hop class against its target, rewiring, excess, and rate."""
    accuracy = [
        Series("train", column(metrics, "train_accuracy")),
        Series("validation", column(metrics, "validation_accuracy"), 1),
    ]
    if baseline is not None:
        accuracy.append(Series("linear, test", (baseline,) * len(metrics), 7, dashed=True))
    rewired = [Series(name, column(metrics, name), i) for i, name in enumerate(("killed", "born", "missing"))]
    rewired = [s for s in rewired if any(finite(s.values))] or rewired[:1]
    return tag(
        "div",
        chart("Accuracy", accuracy, lambda v: percent(v, 0), low=0.0, high=1.0),
        chart("Loss", [Series("loss", column(metrics, "loss"))], low=0.0),
        _density(metrics, profile),
        chart("Branches rewired per epoch", rewired, low=0.0, whole=True, note="killed, reborn elsewhere inside the budget"),
        chart("Worst excess of the budget", [Series("excess", column(metrics, "excess"))], low=-1.0, high=1.0, whole=True,
              note="use minus capacity of the fullest resource; at or below 0 the budget holds"),
        chart("Spike rate", [Series("mean", column(metrics, "rate"))], percent, low=0.0, note="spikes per neuron and step"),
        class_="charts",
    )  # fmt: skip


def _density(metrics: Sequence[Mapping[str, Any]], profile: Mapping[object, object]) -> Markup:
    """Hop classes that are wired or wanted; the rest is named in the note."""
    found: dict[str, None] = {}
    for record in metrics:
        density = record.get("density")
        found.update(dict.fromkeys(density if isinstance(density, Mapping) else ()))
    classes = sorted(found, key=lambda name: (number(_whole(name)) is None, _whole(name) or 0, name))
    series: list[Series] = []
    idle: list[str] = []
    for name in classes:
        values = column(metrics, "density", name)
        target = number(profile.get(name, profile.get(_whole(name))))
        if any(finite(values)) or target:
            colour = sum(not s.dashed for s in series)
            series.append(Series(f"class {name}", values, colour))
            if target is not None:
                series.append(Series(f"target {name}", (target,) * len(values), colour, dashed=True, labelled=False))
        else:
            idle.append(name)
    note = "solid: live, dashed: target of the profile" + (
        f"; classes without branches: {', '.join(idle)}" if idle else ""
    )
    return chart("Density per hop class", series, lambda v: percent(v, 0), low=0.0, note=note)


def _whole(name: object) -> int | None:
    text = str(name)
    return int(text) if text.isdecimal() and len(text) < 10 else None
