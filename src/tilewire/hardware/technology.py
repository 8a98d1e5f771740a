"""Technology: constants with unit, source and band. A number without a source does not exist."""

from __future__ import annotations

from dataclasses import dataclass

from tilewire import units
from tilewire.errors import UsageError


@dataclass(frozen=True)
class Constant:
    """One technology number in SI, its band [low, high] and where it comes from."""

    name: str
    value: float
    dimension: str
    source: str
    low: float
    high: float


@dataclass(frozen=True)
class Technology:
    """A named set of constants. A constant that is not there makes the objectives that need it null, never guessed."""

    name: str
    constants: dict[str, Constant]

    def get(self, name: str) -> Constant | None:
        return self.constants.get(name)


def constant(
    name: str, value: str, dimension: str, source: str, low: str | None = None, high: str | None = None
) -> Constant:
    """Build one constant from text. Raises `UsageError` without a source or with a band that does not hold the value."""
    if not source.strip():
        raise UsageError(
            f"technology number '{name}' has no source",
            hint="name the paper, table or measurement it comes from",
        )
    middle = units.parse(value, dimension)
    bottom = units.parse(low, dimension) if low else middle
    top = units.parse(high, dimension) if high else middle
    if not bottom <= middle <= top:
        raise UsageError(f"technology number '{name}': {value} is outside its band {low} .. {high}")
    return Constant(name, middle, dimension, source, bottom, top)
