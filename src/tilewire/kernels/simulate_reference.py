"""The simulator in plain Python, one token per spike and hop: slow, obvious, the oracle of `numba_simulate`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilewire.hardware.fabric import TILE, TileFabric
from tilewire.kernels.blocks import DEAD, Blocks
from tilewire.kernels.events import SpikeEvents
from tilewire.kernels.lif import Lif


@dataclass
class Told:
    """What tokens did: ``spikes`` as (cell, neuron), links crossed per cell, rows read by kind and group, rows read per cell and group."""

    spikes: list[tuple[int, int]] = field(default_factory=list)
    crossed: list[Counter[int]] = field(default_factory=list)
    read: dict[str, Counter[int]] = field(
        default_factory=lambda: {"input": Counter(), "own": Counter(), "branch": Counter()}
    )
    rows: list[Counter[int]] = field(default_factory=list)


def simulate_reference(
    events: SpikeEvents,
    w_in: NDArray[np.floating[Any]],
    inputs: Blocks,
    w_rec: NDArray[np.floating[Any]],
    recurrent: Blocks,
    lif: Lif,
    fabric: TileFabric,
    tree_ptr: NDArray[np.integer],
    tree_link: NDArray[np.integer],
    placement: NDArray[np.integer],
) -> Told:
    """Run the samples of ``events`` over trees ``tree_link[tree_ptr[i] : tree_ptr[i + 1]]`` of neurons that sit on tiles ``placement``."""
    told, dense, s = Told(), events.to_dense(), fabric.neurons_per_tile
    group_on = {int(fabric.tile_node[placement[g * s]]): g for g in range(fabric.n_tiles)}
    crossbar_in, crossbar = _crossbar(inputs, w_in), _crossbar(recurrent, w_rec)
    for b in range(events.batch):
        v, z, waiting = [0.0] * fabric.n_neurons, [0.0] * fabric.n_neurons, list[tuple[int, int]]()
        for t in range(events.steps):
            acc, rows, crossed, arrived = [0.0] * fabric.n_neurons, Counter[int](), Counter[int](), []
            for channel in np.flatnonzero(dense[b, t]).tolist():
                for (source, group), weights in crossbar_in.items():
                    if source == channel:
                        _add(acc, weights, group * s, float(dense[b, t, channel]))
                        _note(told, "input", rows, group, len(weights))
            for neuron, group in waiting:
                _add(acc, crossbar.get((neuron, group), []), group * s, 1.0)
            for i in range(fabric.n_neurons):
                v[i] = (lif.leak * v[i] - lif.threshold * z[i]) + acc[i]
                z[i] = 1.0 if v[i] > lif.threshold else 0.0
            for neuron in np.flatnonzero(z).tolist():
                told.spikes.append((b * events.steps + t, neuron))
                links = [int(link) for link in tree_link[tree_ptr[neuron] : tree_ptr[neuron + 1]]]
                nodes = _walk(fabric, int(fabric.tile_node[placement[neuron]]), links, crossed)
                for group in (neuron // s, *(group_on[node] for node in nodes)):
                    arrived.append((neuron, group))
                    kind = "own" if group == neuron // s else "branch"
                    _note(told, kind, rows, group, len(crossbar.get((neuron, group), [])))
            waiting = arrived
            told.rows.append(rows)
            told.crossed.append(crossed)
    return told


def _crossbar(blocks: Blocks, weight: NDArray[np.floating[Any]]) -> dict[tuple[int, int], list[list[float]]]:
    """Rows of weights by (source, group), equal ones in slot order."""
    table: dict[tuple[int, int], list[list[float]]] = {}
    for slot in range(len(blocks)):
        if blocks.tile[slot] != DEAD:
            place = int(blocks.source[slot]), int(blocks.tile[slot])
            table.setdefault(place, []).append([float(w) for w in weight[slot]])
    return table


def _add(acc: list[float], rows: list[list[float]], start: int, scale: float) -> None:
    for row in rows:
        for j, weight in enumerate(row):
            acc[start + j] += scale * weight


def _note(told: Told, kind: str, rows: Counter[int], group: int, number: int) -> None:
    told.read[kind][group] += number
    rows[group] += number


def _walk(fabric: TileFabric, home: int, links: list[int], crossed: Counter[int]) -> list[int]:
    """Move a token along the links of a net, doubling it where they part; returns the foreign tiles it enters."""
    standing, entered = {home}, list[int]()
    for link in links:
        if int(fabric.link_source[link]) in standing:
            crossed[link] += 1
            target = int(fabric.link_target[link])
            if fabric.kind[target] != TILE:
                standing.add(target)
            elif target != home and target not in entered:
                entered.append(target)
    return entered
