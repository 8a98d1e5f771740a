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

MAX_COUNT = 1e30


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


def cost_rows(priced: Table[str, Objective], technology: str) -> dict[str, dict[str, Any]]:
    """Objectives as ``evaluation.json`` lists them: value, unit, sense, source, band, and what is missing.

    The sources of the constants stand in the technology; `Objective.summary` spells them out.
    """

    def source(one: Objective) -> str:
        lacks = f"; missing: {', '.join(one.missing)}" if one.missing else ""
        return f"{one.formula}{f'; technology {technology}' if one.constants or lacks else ''}{lacks}"

    return {
        name: {"value": one.value, "unit": one.unit, "sense": one.sense, "source": source(one), "low": one.low,
               "high": one.high, "missing": list(one.missing)}
        for name, one in priced.items()
    }  # fmt: skip


def priced_run(
    counts: Table[str, Any], technology: Technology | None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The ``cost`` section and the objectives of a run."""
    priced = price_design(counts, technology)
    return cost_section(counts, technology), cost_rows(priced, (technology or NOTHING).name)


def stored_counts(evaluation: Table[str, Any]) -> dict[str, Any]:
    """Counts of an evaluation; entries that are no figures are left out and will be missing."""
    section = evaluation.get("cost")
    counts = section.get("counts") if isinstance(section, dict) else None
    found = {name: n for name, n in counts.items() if _is_count(n)} if isinstance(counts, dict) else {}
    routes = [found.get(f"route_hops_{way}") for way in ("east_west", "north_south")]
    if len({len(way) if isinstance(way, list) else -1 - i for i, way in enumerate(routes)}) != 1:
        found = {name: n for name, n in found.items() if not name.startswith("route_hops")}
    return found


def _is_count(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_count(one) and not isinstance(one, list) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_COUNT
