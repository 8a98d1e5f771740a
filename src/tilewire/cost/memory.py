"""Memory: what weights and switches take. Devices are counted by the fabric's own formula (`TileFabric.memory`)."""

from __future__ import annotations

from typing import Any

from tilewire.cost.objective import Counts, Price


def bits(count: Counts, constant: Counts) -> Any:
    """Bits of all crossbar cells: a weight's bits each in the tiles, one per switch in the routers."""
    return count["memory_bits"]


PRICES = (
    Price("memory_bits", "bit", "minimise", "bits per weight x tile crossbar cells + 1 bit x router switches", bits),
)
