"""Objectives of a sparse network on a streaming accelerator: one design explained, or thousands as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.cost.objective import Objective, objective, values
from tilewire.cost.streaming_counts import batch_counts, design_counts
from tilewire.cost.streaming_laws import PRICES as LAWS
from tilewire.errors import UsageError, unknown
from tilewire.hardware.streaming import StreamingAccelerator
from tilewire.hardware.technology import Technology
from tilewire.mapping.streaming import Violation
from tilewire.mapping.streaming_network import StreamingNetwork

PRICES = {price.name: price for price in LAWS}
SIX = ("parameters", "throughput_per_s", "latency_s", "power_w", "area_mm2", "memory_bits")
"""The hardware side of a co-design study; accuracy is the other."""
TECHNOLOGY = "streaming-45nm"
"""Name of the technology file that knows every constant of these laws."""


def objectives(
    accelerator: StreamingAccelerator, network: StreamingNetwork, technology: Technology | None
) -> dict[str, Objective]:
    """Every objective of one design with formula, counts, constants, sources and band; null with what is missing where it has no value.

    Throughput, latency and what follows from them are null where the switch blocks or stages are missing; memories are priced as large as
    the accelerator has them, whether or not they hold the network: `tilewire.mapping.streaming.fit` says whether they do.
    """
    counts = design_counts(accelerator, network)
    return {name: objective(price, counts, technology) for name, price in PRICES.items()}


def screen(
    network: StreamingNetwork, designs: Mapping[str, Any], technology: Technology, names: tuple[str, ...] = SIX
) -> dict[str, NDArray[np.float64]]:
    """The same for n designs at once, values only, float64 [n]: memories, accumulators and index widths are the least that fit.

    ``designs``: columns or single values of `tilewire.cost.streaming_counts.KNOBS`. A design whose switch blocks, or whose clock is above
    ``clock_bound_hz``, is NaN throughout. ``fixed`` wires are laid for the network. Raises `UsageError` for unknown objectives, missing
    knobs or constants.
    """
    wrong = [unknown("objective", name, PRICES) for name in names if name not in PRICES]
    if wrong:
        raise UsageError("; ".join(wrong), where="streaming screen")
    counts = batch_counts(network, designs)
    bound = values(PRICES["clock_bound_hz"], counts, technology)
    found = {name: values(PRICES[name], counts, technology) for name in names}
    lacking = [name for name, column in found.items() if column is None]
    if lacking or bound is None:
        raise UsageError(
            f"technology '{technology.name}' lacks constants of {', '.join(lacking) or 'clock_bound_hz'}",
            hint=TECHNOLOGY,
        )
    never = np.isnan(counts["interval_cycles"]) | (counts["clock_hz"] > bound)
    columns: dict[str, NDArray[np.float64]] = {}
    for name, column in found.items():
        columns[name] = np.where(never, np.nan, column)  # type: ignore[arg-type]
    return columns


def clock_violations(
    accelerator: StreamingAccelerator, network: StreamingNetwork, technology: Technology
) -> tuple[Violation, ...]:
    """The clock against what memories and wires of a technology allow; nothing where the technology does not say."""
    bound = objective(PRICES["clock_bound_hz"], design_counts(accelerator, network), technology).value
    if bound is None or accelerator.clock_hz <= bound:
        return ()
    mega = int(bound // 1e6)
    return (
        Violation("clock in MHz", "memories and wires", int(accelerator.clock_hz / 1e6), mega, f"clock: {mega} MHz"),
    )
