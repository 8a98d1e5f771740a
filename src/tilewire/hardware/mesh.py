"""Mesh: one router per tile on an H x W grid, dimension-ordered (XY) fixed paths.

The plain network on chip of most digital neuromorphic processors (Dally and Towles, Principles and Practices of Interconnection
Networks, 2004, chapters 8 and 16). Departure: a net is multicast, fan-out inside a router is free, as on every tile fabric here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tilewire.hardware.blocked import block
from tilewire.hardware.fabric import (
    EAST,
    LOCAL,
    NORTH,
    OPPOSITE,
    PORTS,
    SOUTH,
    WEST,
    DeviceMemory,
    Ints,
    TileFabric,
)
from tilewire.hardware.grid import MAX_WIDTH, GridDescription, PerSide, Width, neighbours
from tilewire.hardware.technology import Technology
from tilewire.yamlfile import Record

TILE, ROUTER = range(2)
KINDS = ("tile", "router")


class Channels(Record):
    """Widths in channels: ``router`` one figure or one per side, ``tile_in`` and ``tile_out`` of the single local port (default S)."""

    router: PerSide
    tile_in: int | None = Field(default=None, ge=0, le=MAX_WIDTH)
    tile_out: int | None = Field(default=None, ge=0, le=MAX_WIDTH)


class MeshDescription(GridDescription):
    """A mesh chip as its YAML file states it."""

    channels: Channels

    def build(self, technology: Technology | None = None) -> TileFabric:
        """The fabric of this description."""
        fabric = mesh(
            self.grid,
            self.neurons_per_tile,
            router=self.channels.router.model_dump(),
            tile_in=self.channels.tile_in,
            tile_out=self.channels.tile_out,
            technology=technology,
            name=self.name,
        )
        return block(fabric, self.blocked)


def memory(fabric: TileFabric, width: Ints, sized: bool) -> DeviceMemory:
    """Device memory, unit = one crossbar device:

        M = N_T (S t + S^2) + N_R I O

    t = widest tile input (a mesh tile has one input port), I = sum over the five in ports of a router of the widest such port on the chip,
    O = the same over its out ports: a router is one full crossbar from every input channel to every output channel. ``sized`` gives each
    router its own I and O; tiles stay homogeneous. Own choice: no chip of this family publishes a device count to hold it against.
    """
    tiles, routers = fabric.kind == TILE, fabric.kind == ROUTER
    s = fabric.neurons_per_tile
    t = int(width[tiles, 0, LOCAL].max(initial=0))
    ports = width[routers].astype(np.int64)
    if not sized:
        ports = np.broadcast_to(ports.max(axis=0, keepdims=True), ports.shape)
    crossbars = ports.sum(axis=2).prod(axis=1)
    return DeviceMemory({"tile": int(tiles.sum()) * (s * t + s * s), "router": int(crossbars.sum())})


def x_then_y(fabric: TileFabric, source: Ints, target: Ints) -> tuple[NDArray[np.int8], Ints]:
    """The XY path: to the own router, along the row to the target's column, along that column, into the target.

    ``source``, ``target`` int [n] are tiles. Returns out ports int8 [n, 4] and run lengths int32 [n, 4] in links.
    """
    (r0, c0), (r1, c1) = np.divmod(source, fabric.grid[1]), np.divmod(target, fabric.grid[1])
    down, right = (r1 - r0).astype(np.int32), (c1 - c0).astype(np.int32)
    local, one = np.full_like(down, LOCAL), np.ones_like(down)
    port = np.stack([local, np.where(right > 0, EAST, WEST), np.where(down > 0, SOUTH, NORTH), local], axis=-1)
    return port.astype(np.int8), np.stack([one, np.abs(right), np.abs(down), one], axis=-1).astype(np.int32)


def _links(grid: tuple[int, int]) -> tuple[Ints, Ints, NDArray[np.int8]]:
    """Source node, target node, out port: tile to router, router to tile, then router to router by port."""
    n = np.int32(grid[0] * grid[1])
    tile = np.arange(n, dtype=np.int32)
    local = np.full(2 * n, LOCAL, np.int8)
    source, target, port = neighbours(grid)
    sources, targets = (tile, tile + n, source + n), (tile + n, tile, target + n)
    return np.concatenate(sources), np.concatenate(targets), np.concatenate([local, port])


def mesh(
    grid: tuple[int, int],
    neurons_per_tile: int,
    *,
    router: Width | None = None,
    tile_in: int | None = None,
    tile_out: int | None = None,
    technology: Technology | None = None,
    name: str = "",
) -> TileFabric:
    """Construct a mesh of H x W tiles of S neurons; widths in channels, default S; see `MeshDescription` for their meaning.

    Tile t and its router, node H*W + t, share a canvas position and are joined by port local. Hop class of two tiles = Manhattan
    distance + 1, found by breadth-first search like everywhere.
    """
    s, n = neurons_per_tile, grid[0] * grid[1]
    width = s if router is None else router
    sides = np.array([width[side] for side in PORTS[:4]] if isinstance(width, Mapping) else [width] * 4, np.int32)
    row, column = (np.tile(index.ravel().astype(np.int32), 2) for index in np.indices(grid))
    kind = np.repeat(np.array([TILE, ROUTER], np.int8), n)
    source, target, port = _links(grid)
    port_width = np.zeros((2 * n, 2, len(PORTS)), np.int32)
    inner = port != LOCAL
    port_width[source[inner], 1, port[inner]] = sides[port[inner]]
    port_width[target[inner], 0, OPPOSITE[port[inner]]] = sides[OPPOSITE[port[inner]]]
    port_width[:n, 0, LOCAL] = port_width[n:, 1, LOCAL] = s if tile_in is None else tile_in
    port_width[:n, 1, LOCAL] = port_width[n:, 0, LOCAL] = s if tile_out is None else tile_out
    return TileFabric(
        family="mesh", grid=(grid[0], grid[1]), neurons_per_tile=s, canvas=(grid[0], grid[1]), kinds=KINDS, kind=kind, row=row,
        column=column, tile_node=np.arange(n, dtype=np.int32), link_source=source, link_target=target, link_port=port,
        port_width=port_width, fixed_path=x_then_y, memory_rule=memory, technology=technology, name=name,
    )  # fmt: skip
