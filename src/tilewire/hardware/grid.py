"""What the descriptions of all tile grids share: shape, neurons per tile, widths per side, blocked ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, field_validator

from tilewire.hardware.blocked import Blocked
from tilewire.hardware.fabric import PORTS, STEP, Ints, checked_grid
from tilewire.yamlfile import Record

MAX_WIDTH = 1 << 20
Width = int | Mapping[str, int]


class Sides(Record):
    """Channels per side of a unit."""

    north: int = Field(ge=0, le=MAX_WIDTH)
    east: int = Field(ge=0, le=MAX_WIDTH)
    south: int = Field(ge=0, le=MAX_WIDTH)
    west: int = Field(ge=0, le=MAX_WIDTH)


def _all_sides(value: object) -> object:
    """One figure stands for all four sides."""
    if isinstance(value, bool) or not isinstance(value, int | Mapping | Sides | None):
        raise ValueError("is neither a whole number of channels nor a mapping of north, east, south, west")
    if isinstance(value, int):
        if not 0 <= value <= MAX_WIDTH:
            raise ValueError(f"a width counts channels: 0 to {MAX_WIDTH}")
        return dict.fromkeys(PORTS[:4], value)
    return value


PerSide = Annotated[Sides, BeforeValidator(_all_sides)]
OptionalPerSide = Annotated[Sides | None, BeforeValidator(_all_sides)]


def neighbours(shape: tuple[int, int]) -> tuple[Ints, Ints, NDArray[np.int8]]:
    """Position, position beside it and port that leads there, of a grid of positions row * columns + column; by port, then position."""
    row, column = (index.ravel().astype(np.int32) for index in np.indices(shape))
    sources, targets, ports = [], [], []
    for port in range(4):
        to_row, to_column = row + STEP[port, 0], column + STEP[port, 1]
        inside = (to_row >= 0) & (to_row < shape[0]) & (to_column >= 0) & (to_column < shape[1])
        source = np.flatnonzero(inside).astype(np.int32)
        sources.append(source)
        targets.append((to_row * shape[1] + to_column)[inside].astype(np.int32))
        ports.append(np.full(source.size, port, np.int8))
    return np.concatenate(sources), np.concatenate(targets), np.concatenate(ports)


class GridDescription(Record):
    """The keys of every tile grid; a family adds its ``channels`` and a ``build``."""

    family: str
    name: str = ""
    grid: tuple[int, int] = Field(strict=False)
    neurons_per_tile: int = Field(ge=1, le=4096)
    blocked: tuple[Blocked, ...] = Field(default=(), strict=False)
    technology: str | None = None

    @field_validator("grid")
    @classmethod
    def _grid(cls, grid: tuple[int, int]) -> tuple[int, int]:
        return checked_grid(grid)
