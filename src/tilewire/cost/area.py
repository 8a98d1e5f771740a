"""Area: memory cells, routers, neurons."""

from __future__ import annotations

from typing import Any

from tilewire.cost.objective import Counts, Price


def memory(count: Counts, constant: Counts) -> Any:
    """Cells that hold weights and switches."""
    return count["cells"] * constant["cell_area"]


def routers(count: Counts, constant: Counts) -> Any:
    """Logic of the routers, their switches left out (they are memory cells)."""
    return count["routers"] * constant["router_area"]


def neurons(count: Counts, constant: Counts) -> Any:
    """Units that update neurons: one per neuron, or one per tile that works them off one after another."""
    return count["neuron_units"] * constant["neuron_area"]


def area(count: Counts, constant: Counts) -> Any:
    """All of it; pads, clock and power delivery are left out."""
    return memory(count, constant) + routers(count, constant) + neurons(count, constant)


MM2 = 1e6  # m^2 -> mm^2
COMPONENTS = ("area_memory_mm2", "area_routers_mm2", "area_neurons_mm2")
PRICES = (
    Price("area_mm2", "mm2", "minimise", "area_memory_mm2 + area_routers_mm2 + area_neurons_mm2", area, MM2),
    Price("area_memory_mm2", "mm2", "report", "memory cells x area of a cell", memory, MM2),
    Price("area_routers_mm2", "mm2", "report", "routers x area of a router", routers, MM2),
    Price("area_neurons_mm2", "mm2", "report", "neuron units x area of a neuron", neurons, MM2),
)
