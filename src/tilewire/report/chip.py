"""The chip map: tiles and routers where they lie on the canvas, every link coloured by nets against channels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.fabric import OPPOSITE, PORTS, TILE, TileFabric
from tilewire.report.loads import WORST, colour, legend, order_of_pressure
from tilewire.report.markup import Markup, join, tag
from tilewire.report.run_folder import Mapped

TILE_SIZE, ROUTER_SIZE, GAP, MARGIN = 78.0, 24.0, 17.0, 6.0
ARROW, LANE = 8.0, 5.0  # width of a link, its distance from the middle: the two directions run side by side
SINGLE_LINKS = 6000  # above, links of one colour share a path, and the tooltip is the unit's
TRACED = 150_000  # most (tile, link) pairs that the page carries for tracing nets

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layout:
    """Centres and half widths of the nodes in user units, and the size of the drawing."""

    x: Floats
    y: Floats
    half: Floats
    width: float
    height: float


def layout(fabric: TileFabric) -> Layout:
    """Canvas rows and columns that hold tiles are wide, those of routers alone narrow; nodes that share a position stand diagonally."""
    is_tile = fabric.kind == TILE

    def centres(position: NDArray[np.int32], extent: int) -> tuple[Floats, float]:
        wide = np.isin(np.arange(extent), position[is_tile])
        size = np.where(wide, TILE_SIZE, ROUTER_SIZE)
        end = MARGIN + np.cumsum(size + GAP)
        return (end - GAP - size / 2)[position], float(end[-1] - GAP + MARGIN)

    x, width = centres(fabric.column, fabric.canvas[1])
    y, height = centres(fabric.row, fabric.canvas[0])
    half = np.where(is_tile, TILE_SIZE, ROUTER_SIZE) / 2
    place = fabric.row.astype(np.int64) * fabric.canvas[1] + fabric.column
    shared = np.bincount(place)[place] > 1
    half = np.where(shared & is_tile, 0.27 * TILE_SIZE, half)
    corner = np.where(shared, np.where(is_tile, -1, 1), 0) * (TILE_SIZE / 2 - half)
    return Layout(x + corner, y + corner, half, width, height)


def _arrows(fabric: TileFabric, drawn: Layout) -> list[str]:
    """Outline of every link as a path: a bar with a point, right of the middle, from box to box."""
    s, t = fabric.link_source, fabric.link_target
    dx, dy = drawn.x[t] - drawn.x[s], drawn.y[t] - drawn.y[s]
    reach = np.maximum(np.maximum(np.abs(dx), np.abs(dy)), 1e-9)
    begin, end = drawn.half[s] / reach, 1 - drawn.half[t] / reach
    norm = np.maximum(np.hypot(dx, dy), 1e-9)
    ux, uy = dx / norm, dy / norm
    paths = []
    for i in range(fabric.n_links):
        length = max((end[i] - begin[i]) * norm[i] - 2.0, 3.0)
        head = min(4.0, length / 2)
        x0 = drawn.x[s[i]] + dx[i] * begin[i] + ux[i] - uy[i] * LANE
        y0 = drawn.y[s[i]] + dy[i] * begin[i] + uy[i] + ux[i] * LANE
        outline = (
            (0.0, ARROW / 2),
            (0.0, -ARROW / 2),
            (length - head, -ARROW / 2),
            (length, 0.0),
            (length - head, ARROW / 2),
        )
        points = (f"{x0 + a * ux[i] - b * uy[i]:.1f} {y0 + a * uy[i] + b * ux[i]:.1f}" for a, b in outline)
        paths.append("M" + "L".join(points) + "z")
    return paths


def _unit_name(fabric: TileFabric, node: int) -> str:
    tile = int(fabric.tile_index[node])
    if tile >= 0:
        return fabric.tile_name(tile)
    kind = fabric.kinds[fabric.kind[node]]
    return f"{kind if kind == 'router' else kind + ' router'} ({fabric.row[node]}, {fabric.column[node]})"


def _unit_tips(fabric: TileFabric, load: NDArray[np.integer]) -> list[str]:
    """Per unit its name and each port with nets / channels."""
    lines: list[list[str]] = [[_unit_name(fabric, node)] for node in range(fabric.n_nodes)]
    for i in np.argsort(fabric.link_port, kind="stable").tolist():
        use = f"{load[i]} / {fabric.capacity[i]}"
        port = int(fabric.link_port[i])
        lines[fabric.link_target[i]].append(f"in {PORTS[OPPOSITE[port]]}\t{use}")
        lines[fabric.link_source[i]].append(f"out {PORTS[port]}\t{use}")
    return ["\n".join([line[0], *sorted(line[1:])]) for line in lines]


def _links(fabric: TileFabric, drawn: Layout, load: NDArray[np.integer], worst: frozenset[int]) -> Markup:
    paths = _arrows(fabric, drawn)
    classes = [colour(a, c) for a, c in zip(load.tolist(), fabric.capacity.tolist(), strict=True)]
    if fabric.n_links > SINGLE_LINKS:
        merged: dict[str, list[str]] = {}
        for name, path in zip(classes, paths, strict=True):
            merged.setdefault(name, []).append(path)
        plain = [tag("path", d="".join(part), class_=f"link {name}") for name, part in merged.items()]
        outlined = [tag("path", d=paths[i], class_=f"link {classes[i]} worst", id=f"link-{i}") for i in sorted(worst)]
        return join(plain + outlined)
    order = sorted(range(fabric.n_links), key=lambda i: i in worst)  # outlined ones last, so on top
    return join(
        tag(
            "path", d=paths[i], id=f"link-{i}", class_=f"link {classes[i]}{' worst' if i in worst else ''}",
            data_tip=f"{fabric.link_name(i)}\nnets\t{load[i]}\nchannels\t{fabric.capacity[i]}",
        )
        for i in order
    )  # fmt: skip


def _units(fabric: TileFabric, drawn: Layout, load: NDArray[np.integer], roles: Mapping[int, str]) -> Markup:
    tips = _unit_tips(fabric, load)
    shapes = []
    for node in range(fabric.n_nodes):
        x, y, half, tile = (
            float(drawn.x[node]),
            float(drawn.y[node]),
            float(drawn.half[node]),
            int(fabric.tile_index[node]),
        )
        role = roles.get(tile, "") if tile >= 0 else ""
        box = tag(
            "rect",
            x=x - half,
            y=y - half,
            width=2 * half,
            height=2 * half,
            rx=half / 6 if tile >= 0 else half * (fabric.kind[node] == 1),
        )
        words = [box]
        if tile >= 0:
            words.append(tag("text", tile, x=x, y=y + (0 if role else 5), class_="tile-number"))
            words.append(tag("text", role, x=x, y=y + 17, class_="tile-role") if role else Markup())
        name = f"unit {'tile' if tile >= 0 else 'router'}{' ' + role.split()[0] if role else ''}"
        shapes.append(
            tag(
                "g",
                *words,
                class_=name,
                data_tip=tips[node] + (f"\n{role}" if role else ""),
                data_tile=tile if tile >= 0 else None,
            )
        )
    return join(shapes)


def chip_map(fabric: TileFabric, mapped: Mapped, roles: Mapping[int, str]) -> Markup:
    """The map with its legend; ``roles`` names tiles ("inputs", "outputs")."""
    drawn = layout(fabric)
    worst = frozenset(order_of_pressure(fabric, mapped.load)[:WORST].tolist())
    drawing = tag(
        "svg", _links(fabric, drawn, mapped.load, worst), _units(fabric, drawn, mapped.load, roles),
        viewBox=f"0 0 {drawn.width:.0f} {drawn.height:.0f}", class_="chip", role="img",
        aria_label="Map of the chip, links coloured by nets against channels", style=f"max-width:{drawn.width * 1.05:.0f}px",
    )  # fmt: skip
    return join([drawing, legend(), _traces(fabric, mapped)])


def _traces(fabric: TileFabric, mapped: Mapped) -> Markup:
    """Nets per (source tile, link) for the tracing script: flat [tile, link, nets, ...]."""
    pair = mapped.tile[mapped.trees.owner].astype(np.int64) * fabric.n_links + mapped.trees.link
    keys, counts = np.unique(pair, return_counts=True)
    if not 0 < keys.size <= TRACED or fabric.n_links > SINGLE_LINKS:
        return Markup()
    flat = np.stack([keys // fabric.n_links, keys % fabric.n_links, counts], axis=1).ravel().tolist()
    return tag("script", Markup(json.dumps(flat, separators=(",", ":"))), type="application/json", id="traces")
