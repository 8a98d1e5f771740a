"""Cut bounds: nets that must cross a set of links against the channels of that set, over all rectangles of tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bits = NDArray[np.bool_]
WORK = 1e8  # looks at a sink of a net for a rectangle, before large rectangles are left out
ROUTER, INTO, OUT = range(3)  # link classes of a fabric
# Link classes that count in a cut of each kind: into, into past neighbours, out of, out of past neighbours.
CROSSED = ((ROUTER, INTO), (ROUTER,), (ROUTER, OUT), (ROUTER,))


@njit(cache=True)
def _count(
    ptr: Longs,
    sink_row: Ints,
    sink_column: Ints,
    row: Ints,
    column: Ints,
    rows: int,
    columns: int,
    side: int,
    reach: int,
) -> Ints:
    """Nets that must enter [0: from anywhere, 1: from beyond the tiles next to it] and leave [2, 3: likewise] each rectangle of tiles.

    Rectangles [first row, last row, first column, last column] with a side beyond ``side`` are left out unless they span the chip in
    the other direction; ``reach`` is 1 where neighbouring tiles share a router.
    """
    need = np.zeros((4, rows, rows, columns, columns), np.int32)
    for net in range(row.size):
        first, last = ptr[net], ptr[net + 1]
        y, x = row[net], column[net]
        if first == last:
            continue
        for a in range(rows):
            for b in range(a, rows):
                tall, band = b - a >= side, a == 0 and b == rows - 1
                for c in range(columns):
                    for d in range(c, columns):
                        if (tall and not (c == 0 and d == columns - 1)) or (d - c >= side and not band):
                            continue
                        inside = a <= y <= b and c <= x <= d
                        beside = (a <= y <= b and c - reach <= x <= d + reach) or (
                            a - reach <= y <= b + reach and c <= x <= d
                        )
                        within, near = False, False
                        beyond, outside = False, False
                        for k in range(first, last):
                            v, u = sink_row[k], sink_column[k]
                            if a <= v <= b and c <= u <= d:
                                within = True
                                continue
                            outside = True
                            near = (a <= v <= b and c - reach <= u <= d + reach) or (
                                a - reach <= v <= b + reach and c <= u <= d
                            )
                            beyond = beyond or not near
                        need[0, a, b, c, d] += within and not inside
                        need[1, a, b, c, d] += within and not beside
                        need[2, a, b, c, d] += inside and outside
                        need[3, a, b, c, d] += inside and beyond
    return need


@njit(cache=True)
def _crossing(flow: NDArray[np.int64], box: Ints, out: bool) -> int:
    """Channels that leave (or enter) canvas rows box[0]..box[1], columns box[2]..box[3].

    ``flow`` [4, rows + 1, columns + 1] sums the capacities of links north, east, south, west by the position of their source,
    along the columns for north and south, along the rows for east and west.
    """
    lo, hi, le, ri = box
    rows, columns = flow.shape[1] - 1, flow.shape[2] - 1
    total = 0
    north, east, south, west = (lo, ri, hi, le) if out else (hi + 1, le - 1, lo - 1, ri + 1)
    if north < rows:
        total += flow[0, north, ri + 1] - flow[0, north, le]
    if south >= 0:
        total += flow[2, south, ri + 1] - flow[2, south, le]
    if east >= 0:
        total += flow[1, hi + 1, east] - flow[1, lo, east]
    if west < columns:
        total += flow[3, hi + 1, west] - flow[3, lo, west]
    return total


@njit(cache=True)
def _worst(need: Ints, inner: Ints, outer: Ints, flow: NDArray[np.int64]) -> Ints:
    """Kind (0..3, -1 for none) and rectangle of the largest excess of nets over channels; ``flow`` [kind, ...] as in `_crossing`.

    ``inner`` and ``outer`` [2, tile rows or columns, 2] are the canvas spans of tiles and of the routers linked to them.
    """
    best, where = 0, np.full(5, -1, np.int32)
    _, rows, _, columns, _ = need.shape
    box = np.empty(4, np.int32)
    for a in range(rows):
        for b in range(a, rows):
            for c in range(columns):
                for d in range(c, columns):
                    for kind in range(4):
                        nets = need[kind, a, b, c, d]
                        if nets <= best:
                            continue
                        span = outer if kind % 2 else inner
                        box[0], box[1], box[2], box[3] = span[0, a, 0], span[0, b, 1], span[1, c, 0], span[1, d, 1]
                        over = nets - _crossing(flow[kind], box, kind >= 2)
                        if over > best:
                            best = over
                            where[:] = (kind, a, b, c, d)
    return where


@dataclass(frozen=True, eq=False)
class Cut:
    """Each net of ``nets`` int64 needs a link of ``links`` int32 to reach its tile of ``sink``; they have ``capacity`` channels in all."""

    links: Ints
    nets: Longs
    sink: Ints
    capacity: int
    where: str


@dataclass(frozen=True, eq=False)
class Rectangles:
    """Nets that must enter and leave each rectangle of tiles: counted once per network, asked for any capacities.

    Cuts run around the tiles, or around the routers linked to them; in the latter no net of the tiles next to them counts. ``box`` int32
    [2, 2, tile rows or columns, 2] are canvas spans: of tiles and of their routers, rows and columns, first and last.
    """

    fabric: TileFabric
    branches: Connectivity
    placement: Ints
    row: Ints
    column: Ints
    reach: int
    box: tuple[Ints, Ints]
    need: Ints

    @classmethod
    def of(cls, fabric: TileFabric, branches: Connectivity, placement: Ints) -> Rectangles | None:
        """Count a network of branches neuron -> tile; None for a fabric whose links are not steps on a canvas."""
        step = np.abs(fabric.row[fabric.link_target] - fabric.row[fabric.link_source])
        step += np.abs(fabric.column[fabric.link_target] - fabric.column[fabric.link_source])
        if step.max(initial=0) > 1:
            return None
        wired = branches.without_own(placement)
        row, column = (_rank(axis[fabric.tile_node]) for axis in (fabric.row, fabric.column))
        rows, columns = int(row.max()) + 1, int(column.max()) + 1
        side = max(rows, columns)
        while side > 1 and len(wired) * rows * min(side, rows) * columns * min(side, columns) / 4 > WORK:
            side -= 1
        spans = [_spans(fabric, axis, at) for axis, at in ((fabric.row, row), (fabric.column, column))]
        size = max(rows, columns)
        inner, outer = (np.zeros((2, size, 2), np.int32) for _ in range(2))
        for i, (tile, router) in enumerate(spans):
            inner[i, : len(tile)], outer[i, : len(router)] = tile, router
        reach = int(any((router[1:, 0] <= router[:-1, 1]).any() for _, router in spans))
        need = _count(
            wired.ptr,
            row[wired.target],
            column[wired.target],
            row[placement],
            column[placement],
            rows,
            columns,
            side,
            reach,
        )
        return cls(fabric, wired, placement, row, column, reach, (inner, outer), need)

    def worst(self, capacity: Ints) -> Cut | None:
        """The rectangle that most nets too many must cross under ``capacity`` [links]; None if every one has the channels."""
        fabric, classes = self.fabric, CROSSED
        flow = np.stack([_flow(fabric, np.where(np.isin(fabric.link_class, kinds), capacity, 0)) for kinds in classes])
        kind, a, b, c, d = (int(v) for v in _worst(self.need, *self.box, flow))
        if kind < 0:
            return None
        lo, hi = self.box[kind % 2][0, a, 0], self.box[kind % 2][0, b, 1]
        le, ri = self.box[kind % 2][1, c, 0], self.box[kind % 2][1, d, 1]
        inside = (lo <= fabric.row) & (fabric.row <= hi) & (le <= fabric.column) & (fabric.column <= ri)
        source, target = inside[fabric.link_source], inside[fabric.link_target]
        crosses = (source & ~target) if kind >= 2 else (target & ~source)
        links = np.flatnonzero(crosses & np.isin(fabric.link_class, classes[kind])).astype(np.int32)
        tile_inside = (a <= self.row) & (self.row <= b) & (c <= self.column) & (self.column <= d)
        beside = tile_inside.copy()
        if kind % 2:
            beside |= (
                (a <= self.row) & (self.row <= b) & (c - self.reach <= self.column) & (self.column <= d + self.reach)
            )
            beside |= (
                (a - self.reach <= self.row) & (self.row <= b + self.reach) & (c <= self.column) & (self.column <= d)
            )
        here, there = (tile_inside, ~beside) if kind >= 2 else (~beside, tile_inside)
        must = here[self.placement[self.branches.source]] & there[self.branches.target]
        way = ("into", "out of")[kind // 2]
        text = f"{way} tiles of rows {a}..{b}, columns {c}..{d}" + (" past the tiles next to them" if kind % 2 else "")
        nets, first = np.unique(self.branches.source[must], return_index=True)
        return Cut(links, nets.astype(np.int64), self.branches.target[must][first], int(capacity[links].sum()), text)


def worst_tile(fabric: TileFabric, branches: Connectivity, placement: Ints, capacity: Ints) -> Cut | None:
    """The tile that most nets too many must enter or leave, on any fabric; None if every tile has the channels."""
    wired = branches.without_own(placement)
    leaving = np.bincount(placement[wired.fan_out > 0], minlength=fabric.n_tiles)
    best: tuple[int, int, Ints] | None = None
    for way, need, node in ((INTO, wired.fan_in, fabric.link_target), (OUT, leaving, fabric.link_source)):
        of_tile = fabric.tile_index[node]
        own = fabric.link_class == way
        over = need - np.bincount(of_tile[own], weights=capacity[own], minlength=fabric.n_tiles)
        tile = int(np.argmax(over))
        if over[tile] > (best[0] if best else 0):
            best = int(over[tile]), tile, np.flatnonzero(own & (of_tile == tile)).astype(np.int32)
    if best is None:
        return None
    _, tile, links = best
    into = fabric.link_class[links[0]] == INTO if links.size else True
    must = wired.target == tile if into else placement[wired.source] == tile
    nets, first = np.unique(wired.source[must], return_index=True)
    text = f"{'into' if into else 'out of'} {fabric.tile_name(tile)}"
    return Cut(links, nets.astype(np.int64), wired.target[must][first], int(capacity[links].sum()), text)


def _flow(fabric: TileFabric, capacity: Ints) -> NDArray[np.int64]:
    """Exclusive prefix sums of link capacities, see `_crossing`."""
    flow = np.zeros((4, fabric.canvas[0] + 1, fabric.canvas[1] + 1), np.int64)
    down = fabric.row[fabric.link_target] - fabric.row[fabric.link_source]
    right = fabric.column[fabric.link_target] - fabric.column[fabric.link_source]
    for side, step in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
        unit = (down == step[0]) & (right == step[1])
        np.add.at(
            flow[side], (fabric.row[fabric.link_source[unit]], fabric.column[fabric.link_source[unit]]), capacity[unit]
        )
        axis = 1 - side % 2
        flow[side] = np.cumsum(flow[side], axis=axis) - flow[side]
    return flow


def _spans(fabric: TileFabric, axis: Ints, rank: Ints) -> tuple[Ints, Ints]:
    """First and last canvas position, per tile row (or column), of its tiles and of the routers linked to them."""
    tile = np.stack([np.unique(axis[fabric.tile_node])] * 2, axis=1).astype(np.int32)
    router = tile.copy()
    for links, tiles, nodes in (
        (fabric.link_class == INTO, fabric.link_target, fabric.link_source),
        (fabric.link_class == OUT, fabric.link_source, fabric.link_target),
    ):
        at = rank[fabric.tile_index[tiles[links]]]
        np.minimum.at(router[:, 0], at, axis[nodes[links]])
        np.maximum.at(router[:, 1], at, axis[nodes[links]])
    return tile, router


def _rank(value: Ints) -> Ints:
    """Index of each value among the distinct ones."""
    return np.unique(value, return_inverse=True)[1].astype(np.int32)
