"""A family of topologies: how one is constructed, and which of its members are worth a look under a budget."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tilewire.errors import UsageError, nearest
from tilewire.topology.stage import Topology

Options = dict[str, int | float]


@dataclass(frozen=True)
class Family:
    """``construct(n_in, n_out, [rng], **options)`` builds a member; ``proposals(n_in, n_out, budget)`` yields options near a budget.

    ``even``: on equal widths whose factors suit it, every node has the same fan-in and fan-out. ``full``: the members of default options
    join every input to every output.
    """

    name: str
    summary: str
    construct: Callable[..., Topology]
    proposals: Callable[[int, int, int], Iterable[Options]]
    even: bool = True
    full: bool = True

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options of this family."""
        return tuple(
            name for name in inspect.signature(self.construct).parameters if name not in ("n_in", "n_out", "rng")
        )

    @property
    def drawn(self) -> bool:
        """Whether members are drawn at random."""
        return "rng" in inspect.signature(self.construct).parameters

    def __call__(self, n_in: int, n_out: int, rng: np.random.Generator | None = None, **options: Any) -> Topology:
        """The member with these options. Raises `UsageError` for widths below 2, options the family does not know or cannot meet, and a
        drawn family without a generator.
        """
        if min(n_in, n_out) < 2:
            raise UsageError(
                f"widths {n_in} -> {n_out}", where=self.name, hint="a sparse topology needs widths of at least 2"
            )
        for name in options:
            if name not in self.options:
                known = nearest(name, self.options) or ", ".join(self.options) or "this family has no options"
                raise UsageError(f"unknown option '{name}'", where=self.name, hint=known)
        if self.drawn and rng is None:
            raise UsageError("this family is drawn at random", where=self.name, hint="hand in a numpy Generator")
        built = self.construct(n_in, n_out, rng, **options) if self.drawn else self.construct(n_in, n_out, **options)
        return replace(built, name=self.name, options=tuple(options.items()))


def at_least(name: str, value: float, low: float, high: float, where: str) -> None:
    """Raises `UsageError` with the nearest valid value unless low <= value <= high."""
    if not low <= value <= high:
        valid = low if value < low else high
        raise UsageError(f"{name} is {value}, limits {low}..{high}", where=where, hint=f"{name} {valid}")


def counts_up_to(high: float, most: int = 6) -> list[int]:
    """A few whole numbers from 1 to ``high``, doubling, with ``high`` itself: a coarse grid for proposals."""
    top = int(high)
    found = [top, *(top >> shift for shift in range(1, most))] if top >= 1 else []
    return sorted({value for value in found if value >= 1})
