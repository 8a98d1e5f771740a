"""Energy of one inference by component, static power, mean power."""

from __future__ import annotations

from typing import Any

from tilewire.cost.objective import Counts, Price
from tilewire.cost.timing import throughput


def routing(count: Counts, constant: Counts) -> Any:
    """Spikes on their way: out of a tile, over routers, into tiles."""
    return (
        count["tile_exits"] * constant["tile_exit_energy"]
        + count["hops_east_west"] * constant["hop_east_west_energy"]
        + count["hops_north_south"] * constant["hop_north_south_energy"]
        + count["tile_entries"] * constant["tile_entry_energy"]
    )


def synapses(count: Counts, constant: Counts) -> Any:
    """Synapses read."""
    return count["synaptic_operations"] * constant["synapse_energy"]


def neurons(count: Counts, constant: Counts) -> Any:
    """Every neuron updated in every step, and the spikes they fire."""
    return count["neuron_updates"] * constant["neuron_update_energy"] + count["spikes"] * constant["spike_energy"]


def static_power(count: Counts, constant: Counts) -> Any:
    """Leakage of all memory cells."""
    return count["cells"] * constant["cell_leakage_power"]


def static(count: Counts, constant: Counts) -> Any:
    """Leakage while one inference runs."""
    return static_power(count, constant) / throughput(count, constant)


def energy(count: Counts, constant: Counts) -> Any:
    """All of it."""
    parts = (part(count, constant) for part in (routing, synapses, neurons, static))
    return sum(parts)


def power(count: Counts, constant: Counts) -> Any:
    """Mean power of inferences that follow each other."""
    return energy(count, constant) * throughput(count, constant)


def per_operation(count: Counts, constant: Counts) -> Any:
    """All energy over the synapses read: the figure that chips are compared by."""
    return energy(count, constant) / count["synaptic_operations"]


COMPONENTS = ("energy_routing_j", "energy_synapses_j", "energy_neurons_j", "energy_static_j")
PRICES = (
    Price("energy_j", "J", "minimise", "energy_routing_j + energy_synapses_j + energy_neurons_j + energy_static_j", energy),
    Price("energy_routing_j", "J", "report", "tile exits x exit + hops x hop by direction + tile entries x entry", routing),
    Price("energy_synapses_j", "J", "report", "synaptic operations x synapse", synapses),
    Price("energy_neurons_j", "J", "report", "neurons x steps x update + spikes x spike", neurons),
    Price("energy_static_j", "J", "report", "static_power_w / throughput_per_s", static),
    Price("energy_per_operation_j", "J", "report", "energy_j / synaptic operations", per_operation),
    Price("power_w", "W", "minimise", "energy_j x throughput_per_s", power),
    Price("static_power_w", "W", "report", "memory cells x leakage of a cell", static_power),
)  # fmt: skip
