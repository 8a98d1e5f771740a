"""A published processing element priced by the same laws: one PE of EIE (Han et al., ISCA 2016), 45 nm, 800 MHz.

Per cycle one MAC: 8 bits of a 64-bit row of the 128 KB weight memory (code and index), one word of the 2 KB activation memory, one of 64
accumulators read and written, and one 16-bit pointer from one of two banks of 16 KB.
"""

from __future__ import annotations

from tilewire.cost.objective import Objective, objective
from tilewire.cost.streaming import PRICES
from tilewire.cost.streaming_laws import KB
from tilewire.hardware.technology import Technology

PUBLISHED = {"area_mm2": 0.638, "power_w": 9.16e-3}
"""Of one PE after layout."""


def eie_counts(pointers: float = 1.0) -> dict[str, float]:
    """Counts per cycle with ``pointers`` pointer reads. Their rate is not published: at most about one, 0.35 for two per column of 5.8
    weights (9 % of 64 rows).
    """
    sizes = {
        "weight_size_bits": 128 * KB,
        "index_size_bits": 32 * KB,
        "activation_size_bits": 2 * KB,
        "route_size_bits": 0.0,
    }
    widths = {
        "weight_bits": 16,
        "activation_bits": 16,
        "accumulator_bits": 16,
        "index_bits": 16,
        "row_bits": 64,
        "index_row_bits": 16,
    }
    one = (
        "interval_cycles",
        "latency_cycles",
        "macs",
        "activity",
        "arrays",
        "pes",
        "banks",
        "buffers",
        "ports",
        "activation_reads",
    )
    none = (
        "parameters", "route_bits_read", "activation_writes", "outputs", "address_bits", "mux_cells", "mux_passed", "floor_steps",
        "switch_registers", "across",
    )  # fmt: skip
    reads = {"weight_bits_read": 8.0, "index_bits_read": 16 * pointers, "sums_stored": 1.0}
    rest = {"clock_hz": 8e8, "index_banks": 2.0, "accumulators": 64.0}
    return {**sizes, **widths, **dict.fromkeys(one, 1.0), **dict.fromkeys(none, 0.0), **reads, **rest}


def eie_pe(technology: Technology, pointers: float = 1.0) -> dict[str, Objective]:
    """Area and power of the PE under a technology, to hold against `PUBLISHED`."""
    return {name: objective(PRICES[name], eie_counts(pointers), technology) for name in PUBLISHED}
