"""A bar of shares with its key."""

from __future__ import annotations

from collections.abc import Sequence

from tilewire.report.markup import Markup, join, tag
from tilewire.report.scale import percent, prefixed, shown

PARTS = ("a", "b", "c", "d")  # colour classes of the parts of a bar


def share_bar(parts: Sequence[tuple[str, float]], unit: str, label: str) -> Markup:
    """Parts (name, figure) of a whole as one bar with its key; nothing for an empty whole."""
    total = sum(value for _, value in parts)
    if not total > 0:
        return Markup()
    bar, key, x = [], [], 0.0
    for i, (name, value) in enumerate(parts):
        colour, wide = f"part {PARTS[i % len(PARTS)]}", 100 * value / total
        value_text = prefixed(value, unit) if unit in ("s", "J", "W") else shown(value)
        tip = f"{name}\n{unit}\t{value_text}"
        bar.append(tag("rect", x=x, y=0.0, width=max(wide - 0.4, 0.2), height=10.0, class_=colour, data_tip=tip))
        share = f" {name} {value_text} ({percent(value / total, 0)})"
        key.append(tag("span", tag("span", class_=f"swatch {colour}"), share))
        x += wide
    drawing = tag(
        "svg", *bar, viewBox="0 0 100 10", preserveAspectRatio="none", class_="memory-bar", role="img", aria_label=label
    )
    return join([drawing, tag("p", *key, class_="key")])
