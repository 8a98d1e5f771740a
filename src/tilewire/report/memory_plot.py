"""Accuracy against device memory: a dot a cell, whiskers, fronts, floors; equal steps up are equal factors of the errors left."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tilewire.report.markup import Markup, tag
from tilewire.report.scale import percent, shown

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560.0, 360.0, 46.0, 14.0, 18.0, 42.0
# Accuracies that the axis names.
MARKS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
LETTER = 7.0  # width of a letter of the axis
# Colour classes of the style sheet; its grey one is for cells without a method.
COLOURS = ("s0", "s1", "s2", "s3", "s4", "s5", "s6", "s8", "s9", "s10")
GREY = "s7"
Ends = tuple[float | None, float | None]


@dataclass(frozen=True)
class Dot:
    """A cell: device memory, accuracy, both with interval ends; its method (None: without one); hollow unless ``complete``."""

    x: float
    y: float
    x_ends: Ends
    y_ends: Ends
    method: int | None
    complete: bool
    tip: str


@dataclass(frozen=True)
class Plot:
    """Dots, the front of each method as points (devices, accuracy), floors {chip: devices}."""

    dots: Sequence[Dot]
    fronts: Mapping[int, Sequence[tuple[float, float]]]
    floors: Mapping[str, float]


def colour(method: int | None) -> str:
    """Colour class of a method by its number; the eleventh has that of the first."""
    return GREY if method is None else COLOURS[method % len(COLOURS)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round figures inside [low, high], as dense as at most eight allow."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5, 7), (1, 2, 5), (1,)):
        found = [s * 10.0**p for p in powers for s in steps if low <= s * 10.0**p <= high]
        if len(found) <= 8:
            break
    return found


def marks(low: float, high: float) -> list[float]:
    """Neighbours of `MARKS` that hold [low, high], at least two; what is above the last one is drawn there."""
    first = max(i for i, mark in enumerate(MARKS) if mark <= max(low, 0.0))
    last = next((i for i, mark in enumerate(MARKS) if mark >= high), len(MARKS) - 1)
    first = min(first, len(MARKS) - 2)
    return list(MARKS[first : max(last, first + 1) + 1])


def memory_plot(plot: Plot, label: str) -> Markup:
    """The drawing; nothing without dots."""
    if not plot.dots:
        return Markup()
    known = [v for d in plot.dots for v in (d.y, *(d.y_ends if d.complete else ())) if v is not None]
    up = marks(min(known), max(known))
    bottom, top = (-math.log(1 - mark) for mark in (up[0], up[-1]))
    devices = [v for d in plot.dots for v in (d.x, d.x_ends[0], d.x_ends[1]) if v is not None and v > 0]
    low, high = min([*devices, *plot.floors.values()]) / 1.12, max(devices) * 1.12

    def x(value: float) -> float:
        inside = min(max(value, low), high)
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(inside / low) / math.log(high / low)

    def y(value: float) -> float:
        inside = -math.log(1 - min(max(value, up[0]), up[-1]))
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (inside - bottom) / (top - bottom)

    frame = [tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(m), y2=y(m), class_="grid") for m in up]
    frame += [
        tag("text", percent(m, 1 if m > 0.99 else 0), x=LEFT - 7, y=y(m) + 4, class_="axis", text_anchor="end")
        for m in up
    ]
    for m in log_ticks(low, high):
        frame.append(tag("line", x1=x(m), x2=x(m), y1=TOP, y2=HEIGHT - BOTTOM, class_="grid"))
        frame.append(tag("text", _devices(m), x=x(m), y=HEIGHT - BOTTOM + 16, class_="axis", text_anchor="middle"))
    frame.append(
        tag("text", "devices", x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, class_="axis", text_anchor="middle")
    )
    frame += _floors(plot.floors, x)
    lines = [
        tag("polyline", points=" ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points), class_=f"line {colour(method)}")
        for method, points in plot.fronts.items()
        if len(points) > 1
    ]
    whiskers = [_whisker(dot, x, y) for dot in plot.dots]
    dots = [
        tag("circle", cx=x(d.x), cy=y(d.y), r=5, class_=f"dot {colour(d.method)}{'' if d.complete else ' hollow'}", data_tip=d.tip)
        for d in plot.dots
    ]  # fmt: skip
    return tag(
        "svg", *frame, *lines, *whiskers, *dots, viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", class_="chart", role="img",
        aria_label=f"accuracy against device memory: {label}",
    )  # fmt: skip


def _floors(floors: Mapping[str, float], x: Callable[[float], float]) -> list[Markup]:
    """A line a grid, its name above it, or one step lower inside the drawing where it would run into the name before."""
    parts, row, end = [], 0, 0.0
    for chip, floor in sorted(floors.items(), key=lambda item: item[1]):
        tip, name = f"floor of {chip}\ndevices\t{shown(floor)}", f"floor {chip.rpartition(' ')[2]}"
        row = row + 1 if x(floor) < end else 0
        end = x(floor) + LETTER * len(name)
        parts.append(tag("line", x1=x(floor), x2=x(floor), y1=TOP, y2=HEIGHT - BOTTOM, class_="floor", data_tip=tip))
        parts.append(tag("text", name, x=x(floor) + 4, y=TOP - 5 + 14 * row, class_="axis"))
    return parts


def _whisker(dot: Dot, x: Callable[[float], float], y: Callable[[float], float]) -> Markup:
    """The intervals of a dot, crossed."""
    style = f"line whisker {colour(dot.method)}"
    parts = []
    if dot.y_ends[0] is not None and dot.y_ends[1] is not None:
        parts.append(tag("line", x1=x(dot.x), x2=x(dot.x), y1=y(dot.y_ends[0]), y2=y(dot.y_ends[1]), class_=style))
    if dot.x_ends[0] is not None and dot.x_ends[1] is not None:
        parts.append(tag("line", x1=x(dot.x_ends[0]), x2=x(dot.x_ends[1]), y1=y(dot.y), y2=y(dot.y), class_=style))
    return tag("g", *parts)


def _devices(value: float) -> str:
    return next(
        (f"{value / size:g} {unit}" for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if value >= size),
        f"{value:g}",
    )
