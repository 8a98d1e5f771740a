"""Counts of mapped designs: simulated for a trained network, expected from rates for bare nets, stored in a run folder."""

from __future__ import annotations

from collections.abc import Mapping as Table
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewire.cost.activity import WEIGHT_BITS, chip_counts, link_counts, route_counts, simulated_counts
from tilewire.cost.objective import Objective
from tilewire.cost.table import NOTHING, price_design
from tilewire.hardware.fabric import TileFabric
from tilewire.hardware.technology import Technology
from tilewire.mapping.archive import write_arrays
from tilewire.simulate import simulate

if TYPE_CHECKING:
    from tilewire.data.record import EventPack
    from tilewire.mapping.nets import Nets
    from tilewire.mapping.routing import Mapping
    from tilewire.nn.tiled import TiledRSNN


def counts_of_run(
    network: TiledRSNN, mapping: Mapping, data: EventPack, folder: Path, *, weight_bits: int = WEIGHT_BITS
) -> dict[str, Any]:
    """Simulate a mapped network on ``data``, write what was counted to ``activity.npz`` in ``folder``, and return the counts to price.

    Raises `SimulationError` if a spike differs from the evaluated network's.
    """
    fabric = network.fabric
    activity = simulate(network, mapping.trees, mapping.placement, data)
    write_arrays(folder / "activity.npz", activity.arrays())
    routes = route_counts(fabric, mapping.trees, mapping.placement)
    return chip_counts(fabric, weight_bits) | routes | simulated_counts(fabric, activity)


def counts_of_mapping(
    fabric: TileFabric, mapping: Mapping, nets: Nets, *, steps: int | None = None, weight_bits: int = WEIGHT_BITS
) -> dict[str, Any]:
    """What a mapping alone tells: the chip, its routes and, with ``steps`` and the rates of its nets, expected events per inference.

    Rates in spikes per neuron and step. Inputs, own-tile synapses and the busiest step are not in a mapping; they are left out.
    """
    counts = chip_counts(fabric, weight_bits) | route_counts(fabric, mapping.trees, mapping.placement)
    if steps is not None:
        counts |= {"steps": steps, "neuron_updates": fabric.n_neurons * steps}
        if nets.rate is not None:
            size = np.diff(mapping.trees.ptr)
            on_link = np.bincount(mapping.trees.link, np.repeat(nets.rate * steps, size), minlength=fabric.n_links)
            fan_out = nets.branches.fan_out
            counts |= link_counts(fabric, on_link) | {
                "spikes": float(nets.rate.sum()) * steps,
                "branch_operations": float(nets.rate @ fan_out) * steps * fabric.neurons_per_tile,
            }
    return counts


def cost_section(counts: Table[str, Any], technology: Technology | None) -> dict[str, Any]:
    """The ``cost`` entry of an evaluation: technology and counts, enough to price the run again under any other technology."""
    known = technology or NOTHING
    return {"technology": known.name, "note": known.note, "counts": dict(counts)}


def cost_rows(priced: Table[str, Objective]) -> dict[str, dict[str, Any]]:
    """Objectives as ``evaluation.json`` lists them: value, unit, sense, source, band, and what is missing."""
    return {
        name: {"value": one.value, "unit": one.unit, "sense": one.sense, "source": one.source, "low": one.low,
               "high": one.high, "missing": list(one.missing)}
        for name, one in priced.items()
    }  # fmt: skip


def priced_run(
    counts: Table[str, Any], technology: Technology | None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The ``cost`` section and the objectives of a run."""
    return cost_section(counts, technology), cost_rows(price_design(counts, technology))
