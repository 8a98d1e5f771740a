"""Mosaic: neuron tiles joined by memristive routing tiles (Dalgaty et al., Nat. Commun. 15:142, 2024).

An H x W grid of tiles is embedded in a (2H+1) x (2W+1) canvas: tiles at odd/odd, corner routers at even/even, edge routers at mixed
parity (Weber, Ballet, Payvand 2024, public code). Departure: any H x W, not only squares.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.blocked import block
from tilewire.hardware.fabric import (
    EAST,
    NORTH,
    OPPOSITE,
    PORTS,
    SOUTH,
    WEST,
    DeviceMemory,
    Ints,
    TileFabric,
)
from tilewire.hardware.grid import GridDescription, OptionalPerSide, PerSide, Sides, Width, neighbours
from tilewire.hardware.technology import Technology
from tilewire.yamlfile import Record

TILE, CORNER, EDGE = range(3)
KINDS = ("tile", "corner", "edge")


class Channels(Record):
    """Widths in channels, one figure or one per side. ``corner`` and ``edge`` override ``router``; ``tile_out`` defaults to S."""

    router: PerSide
    tile_in: PerSide
    tile_out: OptionalPerSide = None
    corner: OptionalPerSide = None
    edge: OptionalPerSide = None


class MosaicDescription(GridDescription):
    """A Mosaic chip as its YAML file states it."""

    channels: Channels

    def build(self, technology: Technology | None = None) -> TileFabric:
        """The fabric of this description."""
        widths = {
            key: _sides(getattr(self.channels, key)) for key in ("router", "tile_in", "tile_out", "corner", "edge")
        }
        fabric = mosaic(self.grid, self.neurons_per_tile, **widths, technology=technology, name=self.name)
        return block(fabric, self.blocked)


def _sides(width: object) -> dict[str, int] | None:
    return width.model_dump() if isinstance(width, Sides) else None


def _per_side(width: Width) -> Ints:
    sides = [width[name] for name in PORTS[:4]] if isinstance(width, Mapping) else [width] * 4
    return np.array(sides, np.int32)


def _homogeneous(fabric: TileFabric, width: Ints, out: NDArray[np.int64]) -> DeviceMemory:
    tiles, corners, edges = (fabric.kind == kind for kind in (TILE, CORNER, EDGE))
    router_port = _router_ports(fabric)
    tile_in = width[tiles, 0, :4].max(axis=0, initial=0).astype(np.int64)
    c = int(width[corners].max(initial=0))
    e = int((width * router_port)[edges].max(initial=0))
    r = max(2 * int(out.max(initial=0)) + 2 * e, 2 * int(tile_in.max()) + 2 * e)
    s = fabric.neurons_per_tile
    counts = (
        int(tiles.sum()) * (s * int(tile_in.sum()) + s * s),
        int(corners.sum()) * (4 * c) ** 2,
        int(edges.sum()) * r**2,
    )
    return DeviceMemory(dict(zip(KINDS, counts, strict=True)))


def _router_ports(fabric: TileFabric) -> NDArray[np.bool_]:
    """Ports [nodes, 2, ports] of routers that face another router."""
    port = np.zeros(fabric.port_width.shape, bool)
    inner = fabric.link_class == 0
    port[fabric.link_source[inner], 1, fabric.link_port[inner]] = True
    port[fabric.link_target[inner], 0, OPPOSITE[fabric.link_port[inner]]] = True
    return port


def memory(fabric: TileFabric, width: Ints, sized: bool) -> DeviceMemory:
    """Device memory, unit = one memristive device:

        M = N_T (S F + S^2) + N_R0 (4c)^2 + N_R1 r^2,   r = max(2o + 2e, 2 max(tile_in) + 2e)

    F = sum over the four sides of the widest tile input port, c = widest corner-router port, e = widest port of an edge router towards a
    router, o = widest tile output. ``sized`` gives each router its own c, e, o, tile_in; tiles stay homogeneous. Formula of the
    routing-aware paper's public sizing notebook; o is S on the published chips.
    """
    edges = fabric.kind == EDGE
    out = width[fabric.link_source[fabric.link_class == 2], 1, fabric.link_port[fabric.link_class == 2]].astype(
        np.int64
    )
    whole = _homogeneous(fabric, width, out)
    if not sized:
        return whole
    inner = _router_ports(fabric)
    c = width[fabric.kind == CORNER].reshape(-1, 2 * len(PORTS)).max(axis=1, initial=0).astype(np.int64)
    e = (width * inner)[edges].reshape(-1, 2 * len(PORTS)).max(axis=1, initial=0).astype(np.int64)
    facing = (width * ~inner)[edges].max(axis=2).astype(np.int64)
    r = 2 * facing.max(axis=1, initial=0) + 2 * e
    return DeviceMemory({"tile": whole.by_kind["tile"], "corner": int(((4 * c) ** 2).sum()), "edge": int((r**2).sum())})


def one_turn(fabric: TileFabric, source: Ints, target: Ints) -> tuple[NDArray[np.int8], Ints]:
    """The published fixed path: out of a side, along one router row, one turn, along one router column, in from a side.

    ``source``, ``target`` int [n] are tiles. Side neighbours use their shared edge router. Same column: leave west, run along the west
    column, enter from the west. Otherwise leave towards the target (north if the row is equal), run towards it, enter from the near side.
    Returns out ports int8 [n, 4] and run lengths int32 [n, 4] in links; loads equal the public router's to the port.
    """
    from tilewire.hardware.runs import one_turn_runs

    ports = np.array([NORTH, EAST, SOUTH, WEST], np.int8)
    found: tuple[NDArray[np.int8], Ints] = one_turn_runs(
        fabric.grid[1], np.asarray(source, np.int32), np.asarray(target, np.int32), ports
    )
    return found


def one_turn_reference(fabric: TileFabric, source: Ints, target: Ints) -> tuple[NDArray[np.int8], Ints]:
    """The same rule as `one_turn`, array by array: slow for few pairs, the oracle."""
    columns = np.int32(fabric.grid[1])
    r0, r1 = source.astype(np.int32) // columns, target.astype(np.int32) // columns
    down, right = r1 - r0, (target - source).astype(np.int32) - (r1 - r0) * columns
    far_down, far_right = np.abs(down), np.abs(right)
    vertical = np.where(down > 0, np.int8(SOUTH), np.int8(NORTH))
    side = np.where(right > 0, np.int8(EAST), np.int8(WEST))
    near = far_down + far_right == 1
    column = (far_right == 0) & ~near
    straight = near | column
    towards = np.where(far_right == 0, vertical, side)
    port, length = np.empty((len(source), 4), np.int8), np.empty((len(source), 4), np.int32)
    port[:, 0] = np.where(near, towards, np.where(column, np.int8(WEST), vertical))
    port[:, 1] = side
    port[:, 2] = np.where(far_down == 0, np.int8(SOUTH), vertical)
    port[:, 3] = np.where(near, towards, np.where(column, np.int8(EAST), side))
    # Runs on the canvas: tiles lie two steps apart; leaving and entering take one step each.
    length[:, 0] = length[:, 3] = 1
    length[:, 1] = np.where(straight, np.int32(0), 2 * far_right - 1)
    length[:, 2] = np.where(near, np.int32(0), np.where(column, 2 * far_down, np.maximum(2 * far_down - 1, 1)))
    return port, length


def mosaic(
    grid: tuple[int, int],
    neurons_per_tile: int,
    *,
    router: Width | None = None,
    tile_in: Width | None = None,
    tile_out: Width | None = None,
    corner: Width | None = None,
    edge: Width | None = None,
    technology: Technology | None = None,
    name: str = "",
) -> TileFabric:
    """Construct a Mosaic fabric of H x W tiles of S neurons; widths default to S channels. See `MosaicDescription` for their meaning."""
    height, width = grid
    s = neurons_per_tile
    canvas = (2 * height + 1, 2 * width + 1)
    row, column = (index.ravel().astype(np.int32) for index in np.indices(canvas))
    kind = np.where((row % 2 == 1) & (column % 2 == 1), TILE, np.where((row + column) % 2 == 0, CORNER, EDGE)).astype(
        np.int8
    )
    source, target, port = neighbours(canvas)
    router = s if router is None else router
    corner_width, edge_width = (
        _per_side(router if corner is None else corner),
        _per_side(router if edge is None else edge),
    )
    router_width = np.stack([np.zeros_like(corner_width), corner_width, edge_width])  # [kind, side]
    into, out = kind[target] == TILE, kind[source] == TILE
    # A wire into or out of a tile is as wide as the tile's own port; between routers each end has its own width.
    tile_wire = np.where(
        into,
        _per_side(s if tile_in is None else tile_in)[OPPOSITE[port]],
        _per_side(s if tile_out is None else tile_out)[port],
    )
    port_width = np.zeros((kind.size, 2, len(PORTS)), np.int32)
    port_width[source, 1, port] = np.where(into | out, tile_wire, router_width[kind[source], port])
    port_width[target, 0, OPPOSITE[port]] = np.where(into | out, tile_wire, router_width[kind[target], OPPOSITE[port]])
    return TileFabric(
        family="mosaic", grid=(height, width), neurons_per_tile=s, canvas=canvas, kinds=KINDS, kind=kind, row=row, column=column,
        tile_node=np.flatnonzero(kind == TILE).astype(np.int32), link_source=source, link_target=target, link_port=port,
        port_width=port_width, fixed_path=one_turn, memory_rule=memory, technology=technology, name=name,
    )  # fmt: skip
