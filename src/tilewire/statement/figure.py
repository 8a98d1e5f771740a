"""A figure and its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval; None is an end, or a value, that the measurements do not bound."""

    value: float | None
    low95: float | None = None
    high95: float | None = None
