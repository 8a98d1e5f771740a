"""The confusion matrix: true classes down, predicted ones across."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tilewire.report.markup import Markup, figure, table, tag
from tilewire.report.scale import DARK, percent, shade, shown

MOST_CLASSES = 120
COUNTED = 25  # up to here the counts stand in the cells
LISTED = 10
LETTERS = 14  # of a class name beside the matrix


def confusion_counts(document: object) -> NDArray[np.int64] | None:
    """A square matrix of counts, or None if the document holds none."""
    try:
        counts = np.asarray(document)
    except ValueError:
        return None
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1] and 0 < counts.shape[0] <= MOST_CLASSES
    if not square or counts.dtype.kind not in "iu" or counts.min() < 0:
        return None
    return counts.astype(np.int64)


def _names(counts: NDArray[np.int64], classes: Sequence[str]) -> list[str]:
    return list(classes) if len(classes) == len(counts) else [str(i) for i in range(len(counts))]


def mistakes(counts: NDArray[np.int64], classes: Sequence[str]) -> Markup:
    """The most frequent confusions."""
    names, wrong = _names(counts, classes), counts - np.diag(np.diag(counts))
    total = counts.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED]
    rows = [
        (f"{names[a]} → {names[b]}", shown(int(wrong[a, b])), percent(wrong[a, b] / total[a]))
        for a, b in (divmod(int(at), len(counts)) for at in order)
        if wrong[a, b]
    ]
    summary = f"{int(wrong.sum()):,} of {int(total.sum()):,} samples are misclassified"
    listed = table(("true → predicted", "samples", "of true class"), rows, (1, 2)) if rows else ""
    return figure("Most frequent confusions", listed, note=summary)


def confusion_matrix(counts: NDArray[np.int64], classes: Sequence[str]) -> Markup:
    """Coloured by the share of the true class, with counts while they are readable and the recall at the end of each row."""
    k, names = len(counts), _names(counts, classes)
    size = 22.0 if k <= COUNTED else max(560.0 / k, 4.0)
    edge = 6.2 * min(max(len(name) for name in names), LETTERS) + 24
    total = counts.sum(axis=1)
    shapes = []
    for a in range(k):
        for b in range(k):
            shapes += _entry(
                int(counts[a, b]),
                int(total[a]),
                (names[a], names[b]),
                edge + b * size,
                edge + a * size,
                size,
                k <= COUNTED,
            )
        if size >= 9:
            shapes += _margin(names[a], counts[a, a] / total[a] if total[a] else None, edge, a, k, size)
    shapes.append(tag("text", "recall", x=edge + k * size + 38, y=edge - 8, class_="axis strong", text_anchor="end"))
    width, height = edge + k * size + 44, edge + k * size + 4
    return tag(
        "svg",
        *shapes,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        class_="confusion",
        role="img",
        aria_label="Confusion matrix",
        style=f"max-width:{width * 1.15:.0f}px",
    )


def _entry(
    count: int, total: int, names: tuple[str, str], x: float, y: float, size: float, counted: bool
) -> list[Markup]:
    """One cell and, if it is to be read, its count."""
    share = count / max(total, 1)
    tip = f"{names[0]} predicted as {names[1]}\nsamples\t{count} of {total}\nshare\t{percent(share)}"
    box = tag("rect", x=x, y=y, width=size - 1, height=size - 1, class_=f"q{shade(share)}", data_tip=tip)
    if not count or not counted:
        return [box]
    ink = "on-dark" if shade(share) > DARK else "on-light"
    middle = (size - 1) / 2
    return [box, tag("text", count, x=x + middle, y=y + middle + 4, class_=f"count {ink}", text_anchor="middle")]


def _margin(name: str, recall: float | None, edge: float, at: int, k: int, size: float) -> list[Markup]:
    """Name of a class on both sides, and its recall."""
    middle = edge + (at + 0.5) * size + 3.5
    turned = f"translate({middle:.1f} {edge - 5:.1f}) rotate(-90)"
    return [
        tag("text", name[:LETTERS], x=edge - 5, y=middle, class_="axis", text_anchor="end"),
        tag("text", name[:LETTERS], class_="axis", transform=turned),
        tag("text", percent(recall, 0), x=edge + k * size + 38, y=middle, class_="axis", text_anchor="end"),
    ]
