"""What the descriptions of all tile grids share: shape, neurons per tile, widths per side, blocked ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from tilewire.hardware.blocked import Blocked
from tilewire.hardware.fabric import PORTS, checked_grid
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
