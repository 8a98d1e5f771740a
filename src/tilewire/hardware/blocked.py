"""Blocked ports: the defects of one chip. A blocked port has width 0 in both directions; everything else stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tilewire.errors import HardwareError
from tilewire.hardware.fabric import PORTS, TILE, TileFabric
from tilewire.yamlfile import Record


class Blocked(Record):
    """One blocked port of a tile, given by its place on the grid, or of a router, given by its place on the canvas."""

    tile: tuple[int, int] | None = Field(default=None, strict=False)
    router: tuple[int, int] | None = Field(default=None, strict=False)
    port: Literal["north", "east", "south", "west", "local"]

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if (self.tile is None) == (self.router is None):
            raise ValueError("a blocked port names either a tile or a router as [row, column]")
        return self


def block(fabric: TileFabric, blocked: Iterable[Blocked]) -> TileFabric:
    """The same fabric with these ports at width 0. Raises `HardwareError` naming all units and ports that do not exist."""
    width, faults = fabric.port_width.copy(), []
    exists = np.zeros(width.shape[::2], bool)
    exists[fabric.link_source, fabric.link_port] = True
    for entry in blocked:
        unit, place = ("router", entry.router) if entry.router is not None else ("tile", entry.tile)
        node, port = _node(fabric, unit, place), PORTS.index(entry.port)
        if node is None:
            faults.append(f"no {unit} at {list(place or ())}")
        elif not exists[node, port]:
            faults.append(f"the {unit} at {list(place or ())} has no port {entry.port}")
        else:
            width[node, :, port] = 0
    if faults:
        raise HardwareError(f"blocked: {'; '.join(faults)}", hint="tiles count on the grid, routers on the canvas")
    return replace(fabric, port_width=width)


def _node(fabric: TileFabric, unit: str, place: tuple[int, int] | None) -> int | None:
    if place is None:
        return None
    row, column = place
    if unit == "tile":
        inside = 0 <= row < fabric.grid[0] and 0 <= column < fabric.grid[1]
        return int(fabric.tile_node[row * fabric.grid[1] + column]) if inside else None
    found = np.flatnonzero((fabric.kind != TILE) & (fabric.row == row) & (fabric.column == column))
    return int(found[0]) if found.size else None
