"""HTML by construction: whatever is not `Markup` is escaped, so no name from a file can become a tag."""

from __future__ import annotations

import html
from collections.abc import Iterable

VOID = frozenset({"meta", "br", "rect", "line", "circle", "path", "polyline", "polygon", "use"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(content: object) -> Markup:
    """HTML of any value: `Markup` as it is, nothing for None, everything else as escaped text."""
    if isinstance(content, Markup):
        return content
    return Markup("" if content is None else html.escape(str(content)))


def join(parts: Iterable[object]) -> Markup:
    """One after the other."""
    return Markup("".join(escape(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element. ``class_`` stands for class, ``data_tip`` for data-tip; attributes that are None or False are left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if not children and name in VOID:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def _text(value: object) -> str:
    """Coordinates keep two decimals: a hundredth of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def table(
    head: Iterable[object], rows: Iterable[Iterable[object]], numeric: Iterable[int] = (), class_: str | None = None
) -> Markup:
    """A table; columns in ``numeric`` are set right, digits aligned. Rows may be ready ``<tr>`` elements."""
    right = frozenset(numeric)

    def line(cell: str, cells: Iterable[object]) -> Markup:
        return join(tag(cell, content, class_="num" if i in right else None) for i, content in enumerate(cells))

    body = join(row if isinstance(row, Markup) else tag("tr", line("td", row)) for row in rows)
    return tag(
        "div", tag("table", tag("thead", tag("tr", line("th", head))), tag("tbody", body), class_=class_), class_="wide"
    )


def cells(row: Iterable[object], numeric: Iterable[int] = ()) -> Markup:
    """The cells of one row."""
    right = frozenset(numeric)
    return join(tag("td", content, class_="num" if i in right else None) for i, content in enumerate(row))


def card(title: str, *body: object, note: object = None, class_: str = "") -> Markup:
    """A titled block of the page with an optional line of explanation under the title."""
    explained = tag("p", note, class_="note") if note else ""
    return tag("section", tag("h2", title), explained, *body, class_=f"card {class_}".strip())


def figure(title: str, *body: object, note: object = None) -> Markup:
    """A titled part of a card."""
    explained = tag("p", note, class_="note") if note else ""
    return tag("figure", tag("figcaption", title), explained, *body)
