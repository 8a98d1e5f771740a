"""Simulation of a mapped network on its fabric, held equal to its evaluation spike by spike."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import TilewireError, UsageError
from tilewire.kernels.blocks import Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.numba_simulate import Rows, Traced, Walk, trace

if TYPE_CHECKING:
    from tilewire.data.record import EventPack
    from tilewire.hardware.fabric import TileFabric
    from tilewire.mapping.trees import Trees
    from tilewire.nn.tiled import TiledRSNN

BATCH = 128
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]


class SimulationError(TilewireError):
    """The mapped network does not do what the evaluated network does."""


@dataclass(frozen=True, eq=False)
class Activity:
    """Counted events of ``samples`` inferences of ``steps`` steps each; all figures but the maxima are totals over the samples.

    ``neuron_spikes`` int64 [neurons]; ``link_events`` int64 [links], the spikes that crossed each link; ``input_rows``, ``own_rows``,
    ``branch_rows`` int64 [tiles by group], crossbar rows of S synapses that inputs, spikes of the own tile and spikes from other tiles have
    read; ``spikes_at``, ``hops_at`` int64 [steps]. Of each step's busiest link and tile, summed over steps (``busy``) and at worst
    (``worst``), int64 [4]: events of a link, rounds that a link needs for its channels, rows read on a tile, spikes of a tile.
    """

    samples: int
    steps: int
    neuron_spikes: Longs
    link_events: Longs
    input_rows: Longs
    own_rows: Longs
    branch_rows: Longs
    spikes_at: Longs
    hops_at: Longs
    busy: Longs
    worst: Longs

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The record as arrays of an ``.npz``."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @property
    def rate(self) -> Floats:
        """Spikes per neuron and step, [neurons]."""
        return self.neuron_spikes / max(self.samples * self.steps, 1)


def rows_of(blocks: Blocks, weight: NDArray[np.floating[Any]]) -> Rows:
    """Live blocks as crossbar rows by source; in a source the groups ascend, equal ones in slot order."""
    order = blocks.by_source()
    return Rows(
        order.ptr, blocks.tile[order.block].astype(np.int64), np.ascontiguousarray(weight[order.block], np.float64)
    )


def walk_of(fabric: TileFabric, trees: Trees, placement: NDArray[np.integer], rows: Rows) -> Walk:
    """Trees on their fabric with the rows that each entry into a tile reads.

    ``placement`` [neurons] -> tile puts group t, neurons t*S .. t*S+S-1, on a tile. Raises `UsageError` if these do not belong together.
    """
    s, groups, neurons = fabric.neurons_per_tile, fabric.n_tiles, fabric.n_neurons
    tile_of_group = np.asarray(placement, np.int64).reshape(-1)[::s]
    whole = placement.shape == (neurons,) and np.array_equal(np.repeat(tile_of_group, s), placement)
    if not whole or not np.array_equal(np.sort(tile_of_group), np.arange(groups)) or trees.ptr.size != neurons + 1:
        raise UsageError(f"no placement of {groups} whole groups on the tiles of this chip, or trees of another chip")
    group_at = np.full(fabric.n_nodes, -1, np.int64)
    group_at[fabric.tile_node[tile_of_group]] = np.arange(groups)
    key = np.repeat(np.arange(neurons), np.diff(rows.ptr)) * groups + rows.group

    def rows_at(neuron: Longs, group: Longs) -> tuple[Longs, Longs]:
        wanted = neuron * groups + group
        first, last = (np.searchsorted(key, wanted, side) for side in ("left", "right"))
        return np.where(group < 0, 0, first), np.where(group < 0, 0, last)

    neuron = np.arange(neurons)
    first, last = rows_at(trees.owner.astype(np.int64), group_at[fabric.link_target[trees.link]])
    own_first, own_last = rows_at(neuron, neuron // s)
    return Walk(
        trees.ptr, trees.link, first, last, own_first, own_last, fabric.tile_node[placement], fabric.link_source,
        fabric.link_target, fabric.capacity, fabric.tile_index >= 0,
    )  # fmt: skip


def simulate(
    network: TiledRSNN, trees: Trees, placement: NDArray[np.integer], data: EventPack, *, threads: int = 1
) -> Activity:
    """Run ``data`` through the mapped network event by event and count; nothing is trusted but the trees and the crossbars.

    Every spike of every neuron must equal the evaluated network's (float64 sums in ascending source order). Raises `SimulationError`
    naming the first that does not, `UsageError` for trees and a placement of another chip.
    """
    from tilewire.data.augment import batch
    from tilewire.kernels.numba_infer import infer

    w_in, w_rec = network.w_in.detach().numpy(), network.weights().detach().numpy()
    inputs, recurrent = rows_of(network.inputs, w_in), rows_of(network.recurrent, w_rec)
    walk = walk_of(network.fabric, trees, placement, recurrent)
    parts = []
    for start in range(0, len(data), BATCH):
        events = batch(data, np.arange(start, min(start + BATCH, len(data))))
        traced = trace(events, inputs, recurrent, walk, network.lif, threads=threads)
        evaluated = infer(events, w_in, network.inputs, w_rec, network.recurrent, network.lif, threads=threads)
        _hold_equal(evaluated, traced.spikes, start, network.fabric, placement)
        parts.append(_activity(traced))
    return merged(parts)


def _hold_equal(
    evaluated: SpikeEvents, simulated: SpikeEvents, start: int, fabric: TileFabric, placement: NDArray[np.integer]
) -> None:
    if np.array_equal(evaluated.ptr, simulated.ptr) and np.array_equal(evaluated.channel, simulated.channel):
        return
    width = evaluated.channels
    wanted, found = (one.cells() * width + one.channel for one in (evaluated, simulated))
    differ = np.setxor1d(wanted, found, assume_unique=True)
    cell, neuron = divmod(int(differ[0]), width)
    sample, step = divmod(cell, evaluated.steps)
    silent = differ[0] in wanted
    verbs = ("is silent", "fires") if silent else ("fires", "is silent")
    raise SimulationError(
        f"the mapped network {verbs[0]} where the evaluated one {verbs[1]}; {differ.size} spikes differ in this batch",
        where=f"sample {start + sample}, step {step}, neuron {neuron} on {fabric.tile_name(int(placement[neuron]))}",
        hint="trees, placement and weights of one and the same run; `tilewire check` names wrong trees",
    )


def _activity(traced: Traced) -> Activity:
    """Totals of one batch."""
    spikes = traced.spikes
    busy = np.stack([traced.port_events, traced.port_rounds, traced.tile_rows, traced.tile_spikes]).astype(np.int64)
    at = (np.diff(spikes.ptr), traced.hops)
    spikes_at, hops_at = (np.asarray(one, np.int64).reshape(-1, spikes.steps).sum(axis=0) for one in at)
    return Activity(
        spikes.batch, spikes.steps, np.bincount(spikes.channel, minlength=spikes.channels), traced.link_events,
        traced.input_rows, traced.own_rows, traced.branch_rows, spikes_at, hops_at, busy.sum(axis=1),
        busy.max(axis=1, initial=0),
    )  # fmt: skip


def merged(parts: list[Activity]) -> Activity:
    """Activity of several batches of one network. Raises `UsageError` without any."""
    if not parts:
        raise UsageError("no sample to simulate")
    total = {
        name: sum(getattr(one, name) for one in parts)
        for name in (
            "neuron_spikes",
            "link_events",
            "input_rows",
            "own_rows",
            "branch_rows",
            "spikes_at",
            "hops_at",
            "busy",
        )
    }
    worst = np.max([one.worst for one in parts], axis=0)
    return Activity(samples=sum(one.samples for one in parts), steps=parts[0].steps, worst=worst, **total)
