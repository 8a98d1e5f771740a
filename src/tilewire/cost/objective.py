"""Objectives that explain themselves: counts and constants in, value, band and whatever is missing out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.technology import Constant, Technology

Sense = Literal["maximise", "minimise", "report"]
Counts = Mapping[str, Any]
"""Counted events of a design by name: a figure, or an array whose first axis runs over designs."""
Law = Callable[[Counts, Counts], Any]
"""(counts, constants in SI) -> value. Plain arithmetic of numpy, so that one law serves a single design and many at once."""


@dataclass(frozen=True)
class Objective:
    """One figure of a design.

    ``value`` in ``unit`` with its band [low, high]: the law at the ends of the bands of its ``constants``, each taken at the end that
    lowers or raises it. ``counts`` are the counted events that it used. A count or constant that does not exist is in ``missing``, and
    then value and band are None.
    """

    name: str
    value: float | None
    unit: str
    sense: Sense
    formula: str
    counts: dict[str, Any]
    constants: tuple[Constant, ...]
    low: float | None
    high: float | None
    missing: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Formula, then what it lacks or where its constants come from, in a line."""
        if self.missing:
            return f"{self.formula}; missing: {', '.join(self.missing)}"
        origin = "; ".join(dict.fromkeys(constant.source for constant in self.constants))
        return f"{self.formula}; {origin or 'counted'}"

    def summary(self) -> dict[str, Any]:
        """The objective as files hold it."""
        return asdict(self) | {"source": self.source}


@dataclass(frozen=True)
class Price:
    """How one objective follows from counts and constants; ``scale`` turns SI into ``unit``."""

    name: str
    unit: str
    sense: Sense
    formula: str
    law: Law
    scale: float = 1.0


class _Read(Mapping[str, Any]):
    """A table that remembers what was read from it, and answers NaN for what it lacks."""

    def __init__(self, table: Counts) -> None:
        self.table = table
        self.names: dict[str, None] = {}

    def __getitem__(self, name: str) -> Any:
        self.names[name] = None
        value = self.table.get(name)
        return math.nan if value is None else value

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if self.table.get(name) is None)


def objective(price: Price, counts: Counts, technology: Technology | None) -> Objective:
    """The objective of one design under a technology; None knows no constants."""
    known = technology.constants if technology else {}
    middle = {name: constant.value for name, constant in known.items()}
    count, constant = _Read(counts), _Read(middle)
    value = float(price.law(count, constant)) * price.scale
    missing = (*(f"count {name}" for name in count.missing), *(f"constant {name}" for name in constant.missing))
    used = tuple(known[name] for name in constant.names if name in known)
    figures = {name: counts[name] for name in count.names if counts.get(name) is not None}
    if missing:
        return Objective(price.name, None, price.unit, price.sense, price.formula, figures, used, None, None, missing)
    low, high = _band(price, counts, middle, used)
    return Objective(price.name, value, price.unit, price.sense, price.formula, figures, used, low, high)


def _band(price: Price, counts: Counts, middle: Mapping[str, float], used: tuple[Constant, ...]) -> tuple[float, float]:
    """Lowest and highest value inside the box of bands: exact for a law that is monotone in each constant."""

    def at(constants: Mapping[str, float]) -> float:
        return float(price.law(counts, constants)) * price.scale

    ends: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for constant in used:
        rises = at({**middle, constant.name: constant.high}) >= at({**middle, constant.name: constant.low})
        for end, value in zip(ends, (constant.low, constant.high)[:: 1 if rises else -1], strict=True):
            end[constant.name] = value
    return at({**middle, **ends[0]}), at({**middle, **ends[1]})


def values(price: Price, counts: Counts, technology: Technology | None) -> NDArray[np.float64] | None:
    """The same law over many designs at once, without bands; None where a count or constant is missing."""
    count = _Read(counts)
    constant = _Read({name: one.value for name, one in technology.constants.items()} if technology else {})
    result = np.asarray(price.law(count, constant), np.float64) * price.scale
    return None if count.missing or constant.missing else result
