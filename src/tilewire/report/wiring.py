"""Who is wired to whom: branches between tiles, by displacement, and per hop class against the profile."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.fabric import TileFabric
from tilewire.report.markup import Markup, join, table, tag
from tilewire.report.run_folder import Mapped
from tilewire.report.scale import DARK, number, percent, shade, shown

MOST_CELLS = 64  # a side of the matrix; more tiles are shown as blocks of grid rows
ORIGIN = 36.0  # room for the axes of the matrix
REACH = 6  # farthest displacement shown
Counts = NDArray[np.int64]


def tile_matrix(fabric: TileFabric, mapped: Mapped) -> Counts:
    """Branches from tile to tile, int64 [tiles, tiles]; the diagonal is left at 0 (a tile's own crossbar is no branch)."""
    counts = np.zeros((fabric.n_tiles, fabric.n_tiles), np.int64)
    np.add.at(counts, (mapped.tile[mapped.branch_source], mapped.branch_tile), 1)
    np.fill_diagonal(counts, 0)
    return counts


def _cell(row: int, column: int, shade_: str, tip: str, size: float = 1.0) -> Markup:
    return tag("rect", x=float(column), y=float(row), width=size, height=size, class_=shade_, data_tip=tip)


def branch_matrix(fabric: TileFabric, counts: Counts) -> Markup:
    """Source tile x destination tile, coloured by the share of the S possible branches; lines part the rows of the grid."""
    tiles, s, width = fabric.n_tiles, fabric.neurons_per_tile, fabric.grid[1]
    if tiles > MOST_CELLS:
        return _block_matrix(fabric, counts)
    distance = fabric.hop_distance
    cells = [
        _cell(
            a, b, "own" if a == b else f"q{shade(counts[a, b] / s)}",
            f"tile {a} → tile {b}\n" + ("own crossbar" if a == b else f"hop class\t{distance[a, b]}\nbranches\t{counts[a, b]} of {s}"),
        )
        for a in range(tiles) for b in range(tiles)
    ]  # fmt: skip
    nearest = min(fabric.hop_classes, default=0)
    rings = [
        tag("rect", x=b + 0.06, y=a + 0.06, width=0.88, height=0.88, class_="near")
        for a, b in np.argwhere(distance == nearest).tolist() if a != b
    ]  # fmt: skip
    return _framed(join(cells + rings), tiles, list(range(0, tiles + 1, width)), width, "tile")


def _block_matrix(fabric: TileFabric, counts: Counts) -> Markup:
    """The same with rows of the grid (or runs of them) as units, for chips of many tiles."""
    height, width = fabric.grid
    run = -(-height // MOST_CELLS)
    starts = np.arange(0, height, run) * width
    summed = np.add.reduceat(np.add.reduceat(counts, starts, axis=0), starts, axis=1)
    size = np.diff(np.append(starts, fabric.n_tiles))
    possible = fabric.neurons_per_tile * (np.outer(size, size) - np.diag(size))
    share = summed / np.maximum(possible, 1)
    cells = []
    for a, b in np.ndindex(share.shape):
        tip = f"grid row {a * run} → row {b * run}\nbranches\t{summed[a, b]:,}\nshare\t{percent(share[a, b], 2)}"
        cells.append(_cell(a, b, f"q{shade(share[a, b])}", tip))
    return _framed(join(cells), len(starts), [], 8, "grid row")


def _framed(body: Markup, extent: int, lines: list[int], step: int, unit: str) -> Markup:
    """Axes in matrix coordinates scaled to a drawing of about 400 units."""
    scale = (400.0 - ORIGIN) / max(extent, 1)
    rules = join(tag("path", d=f"M{at} 0v{extent}M0 {at}h{extent}", class_="block") for at in lines)
    labels = []
    for i in range(0, extent, max(step, 1)):
        middle = ORIGIN + (i + 0.5) * scale
        labels.append(tag("text", i, x=middle, y=ORIGIN - 6, class_="axis", text_anchor="middle"))
        labels.append(tag("text", i, x=ORIGIN - 5, y=middle + 4, class_="axis", text_anchor="end"))
    titles = [
        tag("text", f"destination {unit} →", x=400.0, y=ORIGIN - 24, class_="axis", text_anchor="end"),
        tag(
            "text",
            f"← source {unit}",
            x=-400.0,
            y=ORIGIN - 28,
            class_="axis",
            text_anchor="start",
            transform="rotate(-90)",
        ),
    ]
    inner = tag("g", body, rules, transform=f"translate({ORIGIN:.0f} {ORIGIN:.0f}) scale({scale:.4f})")
    return tag(
        "svg",
        inner,
        *labels,
        *titles,
        viewBox="0 0 400 400",
        class_="matrix",
        role="img",
        aria_label=f"Branches by {unit}",
    )


def displacement_map(fabric: TileFabric, counts: Counts) -> Markup:
    """Share of the available branches per displacement (rows down, columns right), with the hop class of each cell."""
    row, column = np.divmod(np.arange(fabric.n_tiles), fabric.grid[1])
    down, right = row[None] - row[:, None], column[None] - column[:, None]
    tall, wide = min(fabric.grid[0] - 1, REACH), min(fabric.grid[1] - 1, REACH)
    inside = (np.abs(down) <= tall) & (np.abs(right) <= wide)
    key = (down + tall) * (2 * wide + 1) + right + wide
    cells = (2 * tall + 1) * (2 * wide + 1)
    pairs = np.bincount(key[inside], minlength=cells)
    live = np.bincount(key[inside], weights=counts[inside], minlength=cells)
    hop = np.zeros(cells, np.int64)
    hop[key[inside]] = fabric.hop_distance[inside]
    share = live / np.maximum(pairs * fabric.neurons_per_tile, 1)
    shapes = []
    for at in range(cells):
        y, x = divmod(at, 2 * wide + 1)
        shapes += _displaced(y - tall, x - wide, x, y, int(hop[at]), float(share[at]))
    extent = f"0 0 {2 * wide + 1} {2 * tall + 1}"
    return tag(
        "svg", *shapes, viewBox=extent, class_="matrix footprint", role="img", aria_label="Density by displacement"
    )


def _displaced(down: int, right: int, x: int, y: int, hop: int, share: float) -> list[Markup]:
    """One displacement with its hop class."""
    own = down == right == 0
    direction = f"{abs(down)} {'down' if down > 0 else 'up'}, {abs(right)} {'right' if right > 0 else 'left'}"
    tip = "own tile" if own else f"{direction}\nhop class\t{hop}\nlive\t{percent(share)}"
    ink = "on-dark" if shade(share) > DARK and not own else "on-light"
    label = tag("text", "own" if own else hop, x=x + 0.47, y=y + 0.58, class_=f"hop {ink}", text_anchor="middle")
    return [_cell(y, x, "own" if own else f"q{shade(share)}", tip, 0.94), label]


def hop_table(fabric: TileFabric, counts: Counts, profile: Mapping[object, object]) -> Markup:
    """Per hop class: pairs, available and live branches, density, target and how much of the target is in use."""
    rows = []
    for d, pairs in fabric.hop_classes.items():
        available = pairs * fabric.neurons_per_tile
        live = int(counts[fabric.hop_distance == d].sum())
        target = number(profile.get(d, profile.get(str(d)))) if profile else None
        density = live / available
        used = percent(density / target, 0) if target else "–"
        rows.append((d, shown(pairs), shown(available), shown(live), percent(density), percent(target) if target is not None else "–", used,
                     _meter(density, target)))  # fmt: skip
    head = ("hop class", "tile pairs", "available", "live", "density", "target", "of target", "")
    return table(head, rows, range(7), class_="hops")


def _meter(density: float, target: float | None) -> Markup:
    """Density as a bar with the target as a mark."""
    bar = tag("rect", x=0.0, y=3.0, width=100 * min(density, 1.0), height=8.0, class_="q6")
    mark = tag("line", x1=100 * target, x2=100 * target, y1=0.0, y2=14.0, class_="target") if target is not None else ""
    return tag(
        "svg",
        tag("rect", x=0.0, y=3.0, width=100.0, height=8.0, class_="q0"),
        bar,
        mark,
        viewBox="-1 0 102 14",
        class_="meter",
    )
