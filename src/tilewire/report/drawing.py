"""A drawing of a page as an SVG file of its own: style and legend inside, light or dark as its reader is, ready for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from tilewire.report.markup import Markup, tag
from tilewire.report.shell import asset

TITLE, ROW, LETTER = 30.0, 22.0, 6.6  # height of the title and of a row of the legend; width of a letter
FONT = "svg { font-family: system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; }"


def standalone(chart: Markup, size: tuple[float, float], title: str, legend: Sequence[tuple[str, str]]) -> str:
    """SVG text of a chart of ``size`` (width, height) below its title, above its legend of (colour class, name)."""
    width, height = size
    marks, x, y = list[Markup](), 14.0, TITLE + height + ROW / 2
    for colour, name in legend:
        step = 26 + LETTER * len(name)
        if x + step > width and x > 14:
            x, y = 14.0, y + ROW
        marks.append(tag("circle", cx=x, cy=y - 4, r=5, class_=f"dot {colour}"))
        marks.append(tag("text", name, x=x + 10, y=y, class_="axis"))
        x += step
    whole = y + ROW / 2
    style = tag("style", Markup(asset("drawing.css") + FONT))
    return tag(
        "svg", tag("title", title), style, tag("rect", width=width, height=whole, style="fill: var(--card)"),
        tag("text", title, x=14, y=TITLE - 10, class_="strong"), tag("svg", chart, y=TITLE, width=width, height=height), *marks,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:g} {whole:g}", width=width, height=whole,
    ) + "\n"  # fmt: skip
