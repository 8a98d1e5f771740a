"""Nets against channels: the tightest ports, their colours, and how full the links of a chip are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.fabric import TileFabric
from tilewire.report.markup import Markup, figure, join, table, tag
from tilewire.report.scale import SHADES, percent, shade, shown

WORST = 8  # ports listed and outlined
BINS = 10
CLASSES = ("router to router", "into tiles", "out of tiles")  # by class of link
OUT_OF_TILE = 2
BAR, BAR_HEIGHT = 28.0, 56.0
BINS_FROM, OVER_FROM = 1.6, BINS + 2.6  # in bars


def order_of_pressure(fabric: TileFabric, load: NDArray[np.integer]) -> NDArray[np.int64]:
    """Links that carry nets, worst first: largest excess, then fullest, then widest.

    A tile output as wide as the tile has neurons can never be exceeded and is left out.
    """
    excess = np.maximum(load - fabric.capacity, 0)
    order = np.lexsort((-load, -load / np.maximum(fabric.capacity, 1), -excess))
    free = (fabric.link_class == OUT_OF_TILE) & (fabric.capacity >= fabric.neurons_per_tile)
    listed: NDArray[np.int64] = order[(load > 0)[order] & ~free[order]]
    return listed


def colour(load: int, capacity: int) -> str:
    """Class of a link's colour."""
    if load > capacity:
        return "over"
    return f"q{shade(load / capacity)}" if capacity else "none"


def steps(before: str, after: str) -> Markup:
    """The steps of the colour scale between two words."""
    drawn = [
        tag("span", class_=f"swatch q{i}", data_tip=f"{100 * (i - 1) // SHADES} to {100 * i // SHADES} %")
        for i in range(1, SHADES + 1)
    ]
    return tag("span", before, " ", *drawn, " ", after, class_="steps")


def legend() -> Markup:
    """The colours of the map in words."""

    def entry(colours: str, words: str) -> Markup:
        return tag("span", tag("span", class_=f"swatch {colours}"), " ", words)

    return tag(
        "div",
        steps("nets / channels  0", "100 %"),
        entry("over", "over the limit"),
        entry("q0", "idle"),
        entry("none", "no channel"),
        entry("q5 worst", "among the tightest"),
        class_="legend",
    )


def worst_ports(fabric: TileFabric, load: NDArray[np.integer]) -> Markup:
    """The tightest ports as a table; pointing at a row finds the port on the map."""
    order = order_of_pressure(fabric, load)
    rows = []
    for i in order[:WORST].tolist():
        nets, channels = int(load[i]), int(fabric.capacity[i])
        share = nets / channels if channels else None
        unit, _, port = fabric.link_name(i).rpartition(", port ")
        cells = [
            tag("td", tag("span", class_=f"swatch {colour(nets, channels)}"), " ", unit),
            tag("td", port, class_="whole"),
            tag("td", shown(nets), class_="num"),
            tag("td", shown(channels), class_="num"),
            tag("td", percent(share, 0), class_="num"),
        ]
        rows.append(tag("tr", *cells, data_link=i, class_="bad" if nets > channels else None))
    over = int((load > fabric.capacity).sum())
    used = int((load > 0).sum())
    summary = (
        f"{over:,} of {used:,} used ports over their limit" if over else f"none of {used:,} used ports over its limit"
    )
    widest = ", ".join(
        f"{name} {int(load[fabric.link_class == kind].max(initial=0))}" for kind, name in enumerate(CLASSES[:2])
    )
    full = int(((load == fabric.capacity) & (load > 0))[order].sum())
    summary += f"; {full:,} exactly full" if full else ""
    summary += f"; most nets on one link: {widest}"
    return figure("Tightest ports", table(("unit", "port", "nets", "channels", "use"), rows, (2, 3, 4)), note=summary)


def load_histogram(fabric: TileFabric, load: NDArray[np.integer]) -> Markup:
    """Links per load / capacity, one row of bars per class of link, in the colours of the map."""
    capacity, over = fabric.capacity, load > fabric.capacity
    rows = []
    for kind, name in enumerate(CLASSES):
        own = fabric.link_class == kind
        inside = own & ~over & (capacity > 0)
        step = np.ceil(load[inside] / capacity[inside] * BINS).astype(int)
        rows.append(_bars(name, [*np.bincount(step, minlength=BINS + 1).tolist(), int((own & over).sum())]))
    marks = (
        ("idle", 0.5),
        ("0", BINS_FROM),
        ("50 %", BINS_FROM + BINS / 2),
        ("100 %", BINS_FROM + BINS),
        ("over", OVER_FROM + 0.5),
    )
    axis = join(tag("text", word, x=BAR * place, y=12.0, class_="axis", text_anchor="middle") for word, place in marks)
    return tag("div", *rows, tag("svg", axis, viewBox=f"0 0 {BAR * (OVER_FROM + 1):.0f} 16", class_="bars"))


def _bars(name: str, counts: list[int]) -> Markup:
    """Idle, then ten steps up to 100 %, then over the limit, each bar with its count."""
    top = max(*counts, 1)
    shapes = []
    for i, count in enumerate(counts):
        x = BAR * (0.07 + (0 if i == 0 else BINS_FROM + i - 1 if i <= BINS else OVER_FROM))
        tall = max(BAR_HEIGHT * count / top, 1.5) if count else 0.0
        range_ = (
            f"{100 * (i - 1) // BINS} to {100 * i // BINS} % used"
            if 0 < i <= BINS
            else "idle"
            if i == 0
            else "over the limit"
        )
        shade_ = f"q{shade((i - 0.5) / BINS)}" if 0 < i <= BINS else "q0" if i == 0 else "over"
        bar = tag("rect", x=x, y=16 + BAR_HEIGHT - tall, width=0.86 * BAR, height=tall, class_=shade_)
        label = tag(
            "text", count or "", x=x + 0.43 * BAR, y=12 + BAR_HEIGHT - tall, class_="axis", text_anchor="middle"
        )
        shapes.append(tag("g", bar, label, data_tip=f"{name}\n{range_}\t{count} links"))
    ground = 16.5 + BAR_HEIGHT
    base = tag("line", x1=0.0, x2=BAR * (OVER_FROM + 1), y1=ground, y2=ground, class_="rule")
    drawing = tag("svg", base, *shapes, viewBox=f"0 0 {BAR * (OVER_FROM + 1):.0f} {BAR_HEIGHT + 18:.0f}", class_="bars")
    return tag("div", tag("p", f"{name}: {sum(counts):,} links", class_="bar-title"), drawing)
