"""What one inference asks of a streaming accelerator: cycles, words and bits, for one design or for thousands at once.

Cycles of stage l: T = the slots of its plan, D = the registers behind the issue of a slot, W = ceil(n_out / min(Q, B)) to write back. An
array that owns stages a .. b is busy C = sum T + sum over all but the last (D + W). Results follow each other every

    I = max over arrays of max(C, sum W, (C + D + W_b) / buffers, (W_(a-1) + C) / buffers)

cycles (the slowest loop of accumulators and banks between neighbouring arrays), and the first takes W_0 + sum over all stages (T + D + W).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.errors import UsageError
from tilewire.hardware.streaming import CROSSBAR, FIXED, MESH, StreamingAccelerator, switch_ports
from tilewire.mapping.streaming import StagePlan, accumulator_need, arrays_of, stage_plans, switch_depth
from tilewire.mapping.streaming_network import StreamingNetwork

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
SLOTS, WRITE, ROWS, WORDS, INDEX, ROUTE, LATENCY, DISTANCE, PAIRS, BLOCKED, BIASED = range(11)
INTERVAL, WEIGHT_NEED, INDEX_NEED, ROUTE_NEED = range(4)
KNOBS = ("stages", "pes", "banks", "switch", "weight_bits", "activation_bits", "buffers", "clock_hz")
"""Columns that a batch of designs must have; memories, accumulators and index widths are the least that do."""
SIZES = ("weight", "index", "activation", "route")


def stage_row(one: StagePlan, biased: bool) -> tuple[int, ...]:
    """A plan as a row of integers."""
    return (
        one.plan.slots, one.write, one.rows, one.words, one.index_bits, one.route_bits, one.latency, one.loads.distance, one.loads.pairs,
        one.plan.blocked, biased,
    )  # fmt: skip


@njit(cache=True)
def _share_out(table: Longs, at: Longs, knobs: Longs, first_write: Longs, out: Floats) -> None:
    """Interval and memory of the fullest array of every design; ``knobs`` [n, 5]: stages, buffers, bits of weight, accumulator, index."""
    depth = table.shape[1]
    home = np.empty(depth, np.int64)
    for n in range(at.size):
        plan = table[at[n]]
        arrays, buffers, weight, accumulator, index = knobs[n]
        arrays_of(plan[:, SLOTS], plan[:, LATENCY] + plan[:, WRITE], arrays, home)
        stage, before = 0, first_write[n]
        out[n] = 0
        while stage < depth:
            busy = written = bits = indices = route = 0
            first = stage
            while stage < depth and home[stage] == home[first]:
                if stage > first:
                    busy += plan[stage - 1, LATENCY] + plan[stage - 1, WRITE]
                busy += plan[stage, SLOTS]
                written += plan[stage, WRITE]
                bits += plan[stage, SLOTS] * weight + plan[stage, BIASED] * plan[stage, ROWS] * accumulator
                indices += plan[stage, SLOTS] * index if plan[stage, INDEX] else 0
                route += plan[stage, ROUTE]
                stage += 1
            last = plan[stage - 1]
            loops = max(busy + last[LATENCY] + last[WRITE], before + busy) / buffers
            out[n, INTERVAL] = max(out[n, INTERVAL], busy, written, loops, first_write[n])
            out[n, WEIGHT_NEED], out[n, INDEX_NEED] = max(out[n, WEIGHT_NEED], bits), max(out[n, INDEX_NEED], indices)
            out[n, ROUTE_NEED] = max(out[n, ROUTE_NEED], route)
            before = last[WRITE]


def design_columns(designs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The knobs as columns of equal length. Raises `UsageError` with what is missing."""
    missing = [name for name in KNOBS if name not in designs]
    if missing:
        raise UsageError(f"designs lack {', '.join(missing)}", where="streaming designs")
    columns = np.broadcast_arrays(*(np.atleast_1d(designs[name]) for name in KNOBS))
    return dict(zip(KNOBS, columns, strict=True))


def batch_counts(network: StreamingNetwork, designs: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of n designs of one network, arrays [n]; designs are time-shared and have the memory that they need, no more."""
    knob = design_columns(designs)
    triples = list(zip(knob["switch"].tolist(), knob["pes"].tolist(), knob["banks"].tolist(), strict=True))
    known = {triple: number for number, triple in enumerate(dict.fromkeys(triples))}
    at = np.array([known[triple] for triple in triples])
    plans = [stage_plans(network, *triple) for triple in known]
    rows = [[stage_row(one, stage.biased) for one, stage in zip(plan, network.stages, strict=True)] for plan in plans]
    table = np.array(rows, np.int64)
    switches = np.array([_switch_row(network, *triple) for triple in known], float)[at]
    grown = np.array([accumulator_need(stage, 0, 0) for stage in network.stages]).max()
    own = {
        **{name: np.asarray(knob[name]) for name in KNOBS if name != "switch"},
        "accumulator_bits": knob["weight_bits"] + knob["activation_bits"] + grown,
        "index_bits": table[:, :, INDEX].max(axis=1)[at],
        "accumulators": table[:, :, ROWS].max(axis=1)[at],
        "row_bits": 64,
    }
    return _counts(network, table, at, switches, own)


def design_counts(accelerator: StreamingAccelerator, network: StreamingNetwork) -> dict[str, Any]:
    """Counts of one design; its memories are as large as the accelerator has them. Cycles are None where the switch blocks."""
    a = accelerator
    plans = stage_plans(network, a.switch, a.pes, a.banks)
    table = np.array(
        [[stage_row(one, stage.biased) for one, stage in zip(plans, network.stages, strict=True)]], np.int64
    )
    names = [name for name in KNOBS if name != "switch"] + [
        "accumulator_bits",
        "index_bits",
        "accumulators",
        "row_bits",
    ]
    own = {name: np.array([getattr(a, name)]) for name in names}
    switches = np.array([_switch_row(network, a.switch, a.pes, a.banks)], float)
    found = _counts(network, table, np.zeros(1, np.int64), switches, own)
    counts: dict[str, Any] = {name: float(np.ravel(value)[0]) for name, value in found.items()}
    counts |= {f"{name}_size_bits": float(getattr(a, f"{name}_memory_bits")) for name in SIZES}
    blocked = any(one.plan.blocked for one in plans) or (network.depth > a.stages and not a.time_shared)
    return counts | (dict.fromkeys(("interval_cycles", "latency_cycles")) if blocked else {})


def _switch_row(network: StreamingNetwork, switch: str, pes: int, banks: int) -> tuple[float, ...]:
    """2:1 multiplexers per bit in every array, and over all stages (fixed wires); per inference cells and steps of the floor plan that
    words pass together; registers on the way; 1 if words cross a switch in the middle; ports.
    """
    ports = switch_ports(switch, pes, banks)
    plans = stage_plans(network, switch, pes, banks)
    words = sum(stage.edges for stage in network.stages)
    steps = sum(one.loads.distance for one in plans)
    depth = switch_depth(switch, pes, banks)
    if switch == FIXED:
        ends = [(one.loads.pairs, min(pes, stage.n_out)) for one, stage in zip(plans, network.stages, strict=True)]
        levels = [(-(-pairs // used) - 1).bit_length() for pairs, used in ends]
        passed = sum(stage.edges * level for stage, level in zip(network.stages, levels, strict=True))
        return 0, sum(pairs - used for pairs, used in ends), passed, steps, depth, 0, ports
    if switch == MESH:  # five inputs to each of five outputs, three levels of cells a hop
        return ports * 20, 0, 3 * (steps + words), steps, depth, 0, ports
    levels_passed = (banks - 1).bit_length() if switch == CROSSBAR else depth
    cells = pes * (banks - 1) if switch == CROSSBAR else ports * depth
    return cells, 0, words * levels_passed, 0, depth, 1, ports


def _counts(
    network: StreamingNetwork, table: Longs, at: Longs, switches: Floats, own: Mapping[str, Any]
) -> dict[str, Any]:
    """Events and sizes from plans [kinds, stages, fields], kind of each design, switches [n, 7] and own figures [n]."""
    n, stages, q, b = at.size, own["stages"], own["pes"], own["banks"]
    cells, wired, passed, steps, registers, across, ports = switches.T
    knobs = np.stack(
        [
            np.broadcast_to(own[name], n)
            for name in ("stages", "buffers", "weight_bits", "accumulator_bits", "index_bits")
        ],
        axis=1,
    )
    out = np.zeros((n, 4))
    first_write = -(-network.n_in // np.minimum(q, b))
    _share_out(table, at, knobs.astype(np.int64), first_write.astype(np.int64), out)
    blocked = (table[:, :, BLOCKED].sum(axis=1) > 0)[at]
    total = table.sum(axis=1)[at]
    stored = (table[:, :, SLOTS] * (table[:, :, INDEX] > 0)).sum(axis=1)[at]
    words = sum(stage.edges for stage in network.stages)
    outputs = sum(stage.n_out for stage in network.stages)
    address = sum(stage.edges * (stage.n_in - 1).bit_length() for stage in network.stages if not stage.stored)
    weight, value, accumulator = own["weight_bits"], own["activation_bits"], own["accumulator_bits"]
    latency = first_write + total[:, SLOTS] + total[:, LATENCY] + total[:, WRITE]
    biases = (table[:, :, BIASED] * table[:, :, ROWS]).sum(axis=1)[at]
    return {
        "parameters": float(network.parameters), "clock_hz": own["clock_hz"],
        "interval_cycles": np.where(blocked, np.nan, out[:, INTERVAL]), "latency_cycles": np.where(blocked, np.nan, latency),
        "macs": float(words), "activity": network.activity,
        "weight_bits": weight, "activation_bits": value, "accumulator_bits": accumulator, "index_bits": own["index_bits"],
        "arrays": stages, "pes": q, "banks": b, "buffers": own["buffers"], "row_bits": own["row_bits"],
        "index_row_bits": own["row_bits"], "index_banks": 1.0,
        "weight_size_bits": out[:, WEIGHT_NEED], "index_size_bits": out[:, INDEX_NEED], "route_size_bits": out[:, ROUTE_NEED],
        "activation_size_bits": table[:, :, WORDS].max(axis=1)[at] * value, "accumulators": own["accumulators"],
        "weight_bits_read": q * (total[:, SLOTS] * weight + biases * accumulator), "index_bits_read": q * stored * own["index_bits"],
        "route_bits_read": total[:, ROUTE], "activation_reads": float(words), "activation_writes": float(network.n_in + outputs),
        "outputs": float(outputs), "sums_stored": float(outputs), "address_bits": float(address),
        "mux_cells": stages * cells + wired, "mux_passed": passed, "floor_steps": steps, "switch_registers": registers,
        "across": across, "ports": ports,
    }  # fmt: skip
