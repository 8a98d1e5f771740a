"""Does a sparse network fit a streaming accelerator? Needs against limits, every violation with its place and the nearest fix.

The verdict is relative to the schedule of `tilewire.mapping.slots`: `infeasible` under a blocking switch: none of its orders passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.errors import HardwareError
from tilewire.hardware.streaming import BENES, BUTTERFLY, FIXED, MESH, StreamingAccelerator, switch_ports
from tilewire.mapping.slots import Loads, Plan, loads, plan, schedule
from tilewire.mapping.streaming_network import StreamingNetwork, WordStage
from tilewire.mapping.switches import benes_bits
from tilewire.topology.table import family

Longs = NDArray[np.int64]
PIPELINE = 3
"""Cycles of a word apart from the switch: bank read, multiply, add."""


class StagePlan(NamedTuple):
    """What one stage asks of an array of given switch, PEs and banks."""

    plan: Plan
    loads: Loads
    rows: int
    """Outputs per PE, ceil(n_out / Q): accumulators in use."""
    write: int
    """Cycles that bring the outputs to the next banks, ceil(n_out / min(Q, B))."""
    words: int
    """Activation words per bank, ceil(n_in / B)."""
    index_bits: int
    """Width of a stored index: bank and address of the word, and the accumulator where slots mix outputs; 0 for implied wiring."""
    route_bits: int
    """Switch settings: all cells in every slot, unless words find their way by the bits of their PE."""
    latency: int
    """Cycles from the issue of a slot to its sums: pipeline, switch levels, one to read an index if the network has any."""


def switch_depth(switch: str, pes: int, banks: int) -> int:
    """Registers that a word passes in the switch: one per level of cells, one for a crossbar or a path through a mesh."""
    levels = (switch_ports(switch, pes, banks) - 1).bit_length()
    return {FIXED: 0, BUTTERFLY: levels, BENES: max(2 * levels - 1, 0)}.get(switch, 1)


def stage_plans(network: StreamingNetwork, switch: str, pes: int, banks: int) -> tuple[StagePlan, ...]:
    """Plans of all stages, found once per network, switch, PEs and banks."""
    key = (switch, pes, banks)
    if key not in network.plans:
        stored = switch != FIXED and any(stage.stored for stage in network.stages)
        latency = PIPELINE + switch_depth(switch, pes, banks) + stored
        network.plans[key] = tuple(_stage_plan(stage, switch, pes, banks, latency) for stage in network.stages)
    found: tuple[StagePlan, ...] = network.plans[key]  # type: ignore[assignment]
    return found


def _stage_plan(stage: WordStage, switch: str, pes: int, banks: int, latency: int) -> StagePlan:
    load = loads(stage, pes, banks)
    chosen = plan(stage, switch, pes, banks, load.bound)
    rows = -(-stage.n_out // pes)
    stored = stage.stored and switch != FIXED
    route = chosen.slots * benes_bits(switch_ports(switch, pes, banks)) if switch == BENES and not chosen.regular else 0
    index = (stage.n_in - 1).bit_length() + (rows - 1).bit_length() if stored else 0
    write, words = -(-stage.n_out // min(pes, banks)), -(-stage.n_in // banks)
    return StagePlan(chosen, load, rows, write, words, index, route, latency)


@njit(cache=True)
def arrays_of(busy: Longs, tail: Longs, arrays: int, home: Longs) -> int:
    """Share consecutive stages out to arrays so that the busiest array works least; returns its cycles.

    ``busy``, ``tail`` [stages]: cycles of a stage, and those until its outputs are back if the array goes on with the next one.
    ``home`` [stages] is written.
    """
    low, high = int(busy.max()), int(busy.sum() + tail.sum())
    while low < high:
        middle = (low + high) // 2
        if _share(busy, tail, middle, home) <= arrays:
            high = middle
        else:
            low = middle + 1
    _share(busy, tail, low, home)
    return low


@njit(cache=True)
def _share(busy: Longs, tail: Longs, limit: int, home: Longs) -> int:
    """Fill arrays up to ``limit`` cycles one after another; returns how many are needed."""
    array, cycles = 0, busy[0]
    home[0] = 0
    for stage in range(1, busy.size):
        longer = cycles + tail[stage - 1] + busy[stage]
        if longer > limit:
            array, longer = array + 1, busy[stage]
        cycles = longer
        home[stage] = array
    return array + 1


def homes(plans: tuple[StagePlan, ...], arrays: int) -> Longs:
    """Array of every stage, int64 [stages]."""
    home = np.zeros(len(plans), np.int64)
    busy = np.array([one.plan.slots for one in plans])
    arrays_of(busy, np.array([one.latency + one.write for one in plans]), arrays, home)
    return home


@dataclass(frozen=True)
class Violation:
    """``what`` is used beyond its limit ``where``, and the nearest ``fix``."""

    what: str
    where: str
    used: int
    limit: int
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.used:,}, limit {self.limit:,}; fix: {self.fix}"


@dataclass(frozen=True, eq=False)
class StreamingFit:
    """Plans of the stages, array of each, and what is over its limit."""

    accelerator: StreamingAccelerator
    network: StreamingNetwork
    plans: tuple[StagePlan, ...]
    home: Longs
    violations: tuple[Violation, ...]

    @property
    def verdict(self) -> str:
        """``fits`` or ``infeasible``, relative to the schedule."""
        return "infeasible" if self.violations else "fits"

    @cached_property
    def slots(self) -> int:
        """Slots of all stages."""
        return sum(one.plan.slots for one in self.plans)


def fit(accelerator: StreamingAccelerator, network: StreamingNetwork) -> StreamingFit:
    """Check a network against every limit of an accelerator."""
    a = accelerator
    plans = stage_plans(network, a.switch, a.pes, a.banks)
    home = homes(plans, a.stages if a.time_shared or network.depth <= a.stages else network.depth)
    found = (
        *_depth(a, network),
        *_per_stage(a, network, plans),
        *_memories(a, network, plans, home),
        *_switch(a, network, plans),
    )
    return StreamingFit(a, network, plans, home, found)


def _depth(a: StreamingAccelerator, network: StreamingNetwork) -> Iterator[Violation]:
    if network.depth > a.stages and not a.time_shared:
        fix = f"stages: {network.depth}, or time_shared: true"
        yield Violation("stages", "network", network.depth, a.stages, fix)


def accumulator_need(stage: WordStage, weight_bits: int, activation_bits: int) -> int:
    """Bits that hold every sum of a stage: product of both widths, and log2 of the words and the bias that are added."""
    return weight_bits + activation_bits + max(stage.fan_in + stage.biased - 1, 0).bit_length()


def _per_stage(a: StreamingAccelerator, network: StreamingNetwork, plans: tuple[StagePlan, ...]) -> Iterator[Violation]:
    for number, (stage, one) in enumerate(zip(network.stages, plans, strict=True)):
        where = f"stage {number}"
        width = accumulator_need(stage, a.weight_bits, a.activation_bits)
        if width > a.accumulator_bits:
            yield Violation("accumulator bits", where, width, a.accumulator_bits, f"bits.accumulator: {width}")
        if one.rows > a.accumulators:
            yield Violation(
                "accumulators per PE", where, one.rows, a.accumulators, f"accumulators: {one.rows}, or more PEs"
            )
        if one.index_bits > a.index_bits:
            fix = f"bits.index: {one.index_bits}, or a topology whose wiring is a formula"
            yield Violation("index bits", where, one.index_bits, a.index_bits, fix)


def memory_needs(a: StreamingAccelerator, network: StreamingNetwork, plans: tuple[StagePlan, ...]) -> Longs:
    """Bits of every stage, int64 [stages, 4]: weights and indices per PE, activations per bank and buffer, settings per array.

    A PE reads one weight (and index) word in every slot, idle or not, so all PEs share one address; biases stand behind the weights.
    """
    return np.array(
        [
            (
                one.plan.slots * a.weight_bits + stage.biased * one.rows * a.accumulator_bits,
                one.plan.slots * max(a.index_bits, one.index_bits) if one.index_bits else 0,
                one.words * a.activation_bits,
                one.route_bits,
            )
            for stage, one in zip(network.stages, plans, strict=True)
        ],
        np.int64,
    )


def _per_array(need: Longs, home: Longs) -> Longs:
    """Memory of every array, int64 [arrays, 4]: sums over its stages, of activations the largest."""
    total = np.zeros((int(home.max()) + 1, 4), np.int64)
    np.add.at(total, home, need)
    total[:, 2] = 0
    np.maximum.at(total[:, 2], home, need[:, 2])
    return total


MEMORIES = (("weight", "PE"), ("index", "PE"), ("activation", "bank"), ("route", "switch"))


def _memories(
    a: StreamingAccelerator, network: StreamingNetwork, plans: tuple[StagePlan, ...], home: Longs
) -> Iterator[Violation]:
    need = _per_array(memory_needs(a, network, plans), home)
    for array, row in enumerate(need.tolist()):
        for (name, place), used in zip(MEMORIES, row, strict=True):
            limit = getattr(a, f"{name}_memory_bits")
            if used > limit:
                where = f"array {array}, each {place}"
                yield Violation(f"{name} memory bits", where, used, limit, f"memory.{name}: {used} b")


def _switch(a: StreamingAccelerator, network: StreamingNetwork, plans: tuple[StagePlan, ...]) -> Iterator[Violation]:
    if a.switch == FIXED:
        yield from _wires(a, network)
    for number, one in enumerate(plans):
        if a.switch in (BUTTERFLY, MESH) and one.plan.blocked:
            waiting = schedule(network.stages[number], a.switch, a.pes, a.banks)[0].blocked
            fix = "switch: benes or crossbar, or powers of two with banks = PEs and a regular topology"
            where = f"stage {number}, {a.switch} of {a.ports} ports"
            yield Violation("slots with words that block each other", where, waiting, 0, fix)


def _wires(a: StreamingAccelerator, network: StreamingNetwork) -> Iterator[Violation]:
    """Fixed wires carry exactly the pattern that they were laid for."""
    wired = wired_stages(a)
    if len(wired) != network.depth:
        yield Violation("stages", "wiring", network.depth, len(wired), "wiring of this network, or switch: crossbar")
    for number, (stage, own) in enumerate(zip(network.stages, wired, strict=False)):
        wide = max(stage.n_in, own.n_in)
        other = np.setxor1d(stage.target * wide + stage.source, own.target * wide + own.source).size
        if other or (stage.n_in, stage.n_out) != (own.n_in, own.n_out):
            yield Violation(
                "words off the wires", f"stage {number}", other, 0, "wiring of this network, or switch: crossbar"
            )


def wired_stages(accelerator: StreamingAccelerator) -> tuple[WordStage, ...]:
    """The stages that fixed wires were laid for."""
    from tilewire.mapping.streaming_network import streaming_network

    layers = [
        family(one.topology)(one.inputs, one.outputs, np.random.default_rng(one.seed), **one.options)
        for one in accelerator.wiring
    ]
    return streaming_network(layers).stages if layers else ()


def sized(accelerator: StreamingAccelerator, network: StreamingNetwork) -> StreamingAccelerator:
    """The accelerator with the least memories, accumulators and widths of index and accumulator that the network needs.

    Raises `HardwareError` where memory is not what is missing: the switch, the wires or the number of stages.
    """
    a = accelerator
    plans = stage_plans(network, a.switch, a.pes, a.banks)
    a = a.with_sizes(
        accumulators=max(one.rows for one in plans),
        accumulator_bits=max(accumulator_need(stage, a.weight_bits, a.activation_bits) for stage in network.stages),
        index_bits=max(one.index_bits for one in plans),
    )
    need = _per_array(memory_needs(a, network, plans), homes(plans, a.stages)).max(axis=0).tolist()
    a = a.with_sizes(**{f"{name}_memory_bits": bits for (name, _), bits in zip(MEMORIES, need, strict=True)})
    left = fit(a, network).violations
    if left:
        raise HardwareError(str(left[0]), where=a.name or "streaming accelerator", hint=left[0].fix)
    return a
