"""Technology: constants with unit, source and band. A number without a source does not exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tilewire import units
from tilewire.errors import UsageError

Storage = Literal["devices", "bits"]
Ports = Literal["channels", "shared"]
Tiles = Literal["parallel", "serial"]
Scales = Literal["no", "fixed", "logic"]


@dataclass(frozen=True)
class Constant:
    """One technology number in SI, its band [low, high] and where it comes from.

    ``scales`` says what another process node does to it: "logic" scales by the published rules for logic, "fixed" (a count, an exponent)
    stays, "no" has no rule and is lost.
    """

    name: str
    value: float
    dimension: str
    source: str
    low: float
    high: float
    scales: Scales = "no"


@dataclass(frozen=True)
class Technology:
    """A named set of constants. A constant that is not there makes the objectives that need it null, never guessed.

    ``storage``: what one weight or switch is made of, memristive devices or memory bits. ``ports``: events of one step pass a port one per
    channel, or one after another on a link that they share. ``tiles``: a tile works on its neurons and synapses at once (a crossbar) or one
    after another (a digital core). ``note`` says what the numbers do not stand for.
    """

    name: str
    constants: dict[str, Constant]
    storage: Storage = "devices"
    ports: Ports = "channels"
    tiles: Tiles = "parallel"
    node: float | None = field(default=None)
    note: str = ""

    def get(self, name: str) -> Constant | None:
        return self.constants.get(name)


def constant(
    name: str,
    value: str,
    dimension: str,
    source: str,
    low: str | None = None,
    high: str | None = None,
    scales: Scales = "no",
) -> Constant:
    """Build one constant from text. Raises `UsageError` without a source, below zero, or with a band that does not hold the value."""
    if not source.strip():
        raise UsageError(
            f"technology number '{name}' has no source",
            hint="name the paper, table or measurement it comes from",
        )
    middle = units.parse(value, dimension)
    bottom = middle if low is None else units.parse(low, dimension)
    top = middle if high is None else units.parse(high, dimension)
    if not bottom <= middle <= top:
        raise UsageError(f"technology number '{name}': {value} is outside its band {low} .. {high}")
    if bottom < 0 and dimension != "number":
        raise UsageError(f"technology number '{name}': {low or value} is below zero")
    return Constant(name, middle, dimension, source, bottom, top, scales)
