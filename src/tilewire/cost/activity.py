"""Counts: what a design does and is made of, before anything is priced. All per inference unless they say otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tilewire.cost.objective import Counts, Price
from tilewire.hardware.fabric import TILE, TileFabric
from tilewire.hardware.technology import Technology
from tilewire.mapping.route_length import critical_routes, hop_kind
from tilewire.mapping.trees import Trees

if TYPE_CHECKING:
    from tilewire.simulate import Activity
    from tilewire.topology.stage import Stage

WEIGHT_BITS = 32  # the evaluated network has float32 weights
BUSY = ("port_events", "port_rounds", "tile_rows", "tile_spikes")


def chip_counts(fabric: TileFabric, weight_bits: int = WEIGHT_BITS) -> dict[str, Any]:
    """What the chip is made of.

    memory_bits = weight_bits x crossbar cells of the tiles + 1 bit per switch of the routers, counted from the same device formula.
    """
    memory = fabric.memory()
    weights = memory.by_kind[fabric.kinds[TILE]]
    return {
        "tiles": fabric.n_tiles,
        "routers": fabric.n_nodes - fabric.n_tiles,
        "neurons": fabric.n_neurons,
        "neurons_per_tile": fabric.neurons_per_tile,
        "memory_devices": memory.total,
        "memory_bits": weight_bits * weights + memory.total - weights,
    }


def route_counts(fabric: TileFabric, trees: Trees, placement: NDArray[np.integer]) -> dict[str, Any]:
    """Router hops of the routes that can be slowest, as two lists of one length."""
    routes = critical_routes(fabric, trees, placement)
    return {"route_hops_east_west": routes[:, 0].tolist(), "route_hops_north_south": routes[:, 1].tolist()}


def link_counts(fabric: TileFabric, link_events: NDArray[Any]) -> dict[str, float]:
    """Events per inference by what they cross, from events per link [links]."""
    by_kind = np.bincount(hop_kind(fabric), weights=link_events, minlength=3)
    into = float(link_events[fabric.link_class == 1].sum())
    return {
        "hops_east_west": float(by_kind[0]), "hops_north_south": float(by_kind[1]), "tile_entries": into,
        "tile_exits": float(by_kind[2]) - into,
    }  # fmt: skip


def simulated_counts(fabric: TileFabric, activity: Activity) -> dict[str, Any]:
    """Counted events of a simulation, means per inference; ``_mean`` is per step, ``_worst`` the worst step of all samples."""
    s, samples = fabric.neurons_per_tile, activity.samples
    rows = {kind: float(getattr(activity, f"{kind}_rows").sum()) for kind in ("input", "own", "branch")}
    return {
        "steps": activity.steps,
        "spikes": float(activity.neuron_spikes.sum()) / samples,
        **{name: value / samples for name, value in link_counts(fabric, activity.link_events).items()},
        **{f"{kind}_operations": s * number / samples for kind, number in rows.items()},
        "synaptic_operations": s * sum(rows.values()) / samples,
        "neuron_updates": fabric.n_neurons * activity.steps,
        **{f"{name}_mean": float(n) / (samples * activity.steps) for name, n in zip(BUSY, activity.busy, strict=True)},
        **{f"{name}_worst": int(n) for name, n in zip(BUSY, activity.worst, strict=True)},
    }


_CELLS = {"devices": "memory_devices", "bits": "memory_bits"}
_ROUNDS = {"channels": "port_rounds", "shared": "port_events"}


def counts_for(technology: Technology, counts: Counts) -> dict[str, Any]:
    """The counts with those that depend on how a technology works.

    ``cells`` store weights and switches; ``rounds`` of a step pass the busiest port; ``neuron_turns``, ``spike_turns``,
    ``synapse_turns`` are worked off one after another on a tile (1 where it works on all at once); ``neuron_units`` do the work of neurons.
    """
    serial, s = technology.tiles == "serial", counts.get("neurons_per_tile")
    found = dict(counts)
    found["cells"] = counts.get(_CELLS[technology.storage])
    found["neuron_turns"] = s if serial else 1
    found["neuron_units"] = counts.get("tiles" if serial else "neurons")
    for end in ("mean", "worst"):
        rows, spikes = counts.get(f"tile_rows_{end}"), counts.get(f"tile_spikes_{end}")
        found[f"rounds_{end}"] = counts.get(f"{_ROUNDS[technology.ports]}_{end}")
        found[f"spike_turns_{end}"] = spikes if serial else 1
        found[f"synapse_turns_{end}"] = (None if rows is None or s is None else rows * s) if serial else 1
    return found


def _links_crossed(count: Counts, constant: Counts) -> Any:
    """Links that spikes cross, those out of and into tiles included."""
    return count["tile_exits"] + count["hops_east_west"] + count["hops_north_south"] + count["tile_entries"]


def _counted(name: str, formula: str) -> Price:
    return Price(f"{name}_per_inference", name.replace("_", " "), "report", formula, lambda count, _: count[name])


PRICES = (
    _counted("steps", "time steps of one inference"),
    _counted("spikes", "spikes of all neurons"),
    Price("hops_per_inference", "hops", "minimise", "links crossed by spikes, tile exits and entries included", _links_crossed),
    _counted("synaptic_operations", "synapses read: S for each crossbar row that an input, own or routed spike enters"),
)  # fmt: skip


@dataclass(frozen=True)
class LayerActivity:
    """Work of one sparse layer for one input vector: multiply-accumulates, reads and writes in words, index bits that are read.

    ``activation_reads`` counts one word per weight; ``broadcast_reads`` one per input where an input is read once and handed to all.
    """

    macs: int
    weight_reads: int
    activation_reads: int
    broadcast_reads: int
    activation_writes: int
    index_bits: int


def layer_activity(stages: Iterable[Stage]) -> tuple[LayerActivity, ...]:
    """Counts of every stage of a cascade or feed-forward network, from its topology alone (all inputs active).

    A fixed skip costs one further multiply-accumulate and read per output, and no weight.
    """
    return tuple(
        LayerActivity(
            macs=stage.weights + skip, weight_reads=stage.weights, activation_reads=stage.weights + skip,
            broadcast_reads=int(np.count_nonzero(stage.fan_outs)) if not skip else stage.n_in,
            activation_writes=stage.n_out, index_bits=stage.index_bits,
        )
        for stage in stages
        for skip in (stage.n_out if stage.skip else 0,)
    )  # fmt: skip
