"""Time: one step on the chip, latency and throughput.

    t_step = t_barrier + n t_neuron + z t_spike + t_exit + max over routes (h_ew t_ew + h_ns t_ns) + (k - 1) max(t_ew, t_ns)
             + t_entry + o t_synapse

n, z, o: neurons, spikes and synapses that the busiest tile works off one after another (1 where it works on all at once), k: rounds in
which the busiest port passes its events (events over channels, or events one by one on a shared link), h: router hops of a critical route.
The phases of a step follow each other: recurrent spikes of a step must arrive before the next one begins, so nothing overlaps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewire.cost.objective import Counts, Price


def step_time(count: Counts, constant: Counts, end: str) -> Any:
    """Seconds of one step: ``end`` is "mean" (means over steps of the busiest port and tile) or "worst" (the worst step of all)."""
    east_west, north_south = constant["hop_east_west_time"], constant["hop_north_south_time"]
    along = (
        np.asarray(count["route_hops_east_west"]) * east_west
        + np.asarray(count["route_hops_north_south"]) * north_south
    )
    route = np.max(np.atleast_1d(along), axis=-1, initial=0.0)
    queue = np.maximum(count[f"rounds_{end}"] - 1, 0) * np.maximum(east_west, north_south)
    neurons = (
        count["neuron_turns"] * constant["neuron_update_time"] + count[f"spike_turns_{end}"] * constant["spike_time"]
    )
    synapses = count[f"synapse_turns_{end}"] * constant["synapse_time"]
    transport = constant["tile_exit_time"] + route + queue + constant["tile_entry_time"]
    return constant["step_time"] + neurons + transport + synapses


def latency(count: Counts, constant: Counts) -> Any:
    """Seconds within which every counted inference ends: each step as slow as the worst one."""
    return count["steps"] * step_time(count, constant, "worst")


def throughput(count: Counts, constant: Counts) -> Any:
    """Inferences per second, one after another, at the mean step."""
    return 1 / (count["steps"] * step_time(count, constant, "mean"))


STEP = "barrier + neurons + spikes + exit + critical route + queue at the busiest port + entry + synapses"
PRICES = (
    Price("latency_s", "s", "minimise", f"steps x worst step; step = {STEP}", latency),
    Price("throughput_per_s", "1/s", "maximise", f"1 / (steps x mean step); step = {STEP}", throughput),
)
