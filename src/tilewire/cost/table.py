"""The table of objectives of tile fabrics: one line per objective, priced from counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tilewire.cost import activity, area, energy, memory, timing
from tilewire.cost.activity import counts_for
from tilewire.cost.objective import Counts, Objective, Price, objective, values
from tilewire.errors import UsageError, unknown
from tilewire.hardware.technology import Technology

PRICES: dict[str, Price] = {
    price.name: price for price in (*activity.PRICES, *memory.PRICES, *timing.PRICES, *energy.PRICES, *area.PRICES)
}
NOTHING = Technology(
    "none", {}, note="No technology was chosen: events, steps and devices are counted, nothing is priced."
)


def price_design(counts: Counts, technology: Technology | None = None) -> dict[str, Objective]:
    """Every objective of one design from its counts; what the technology does not know is null with its name."""
    known = technology or NOTHING
    seen = counts_for(known, counts)
    return {name: objective(price, seen, known) for name, price in PRICES.items()}


def price_designs(
    counts: Counts, technology: Technology | None = None, names: tuple[str, ...] = tuple(PRICES)
) -> dict[str, NDArray[np.float64] | None]:
    """The same over arrays of designs, values only; None where a count or constant is missing. Raises `UsageError` for unknown names."""
    wrong = [name for name in names if name not in PRICES]
    if wrong:
        raise UsageError("; ".join(unknown("objective", name, PRICES) for name in wrong))
    known = technology or NOTHING
    seen = counts_for(known, counts)
    return {name: values(PRICES[name], seen, known) for name in names}
