"""Cycle-level simulation of a network on a streaming accelerator: the yardstick of the analytic model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilewire.errors import RunError, UsageError
from tilewire.hardware.streaming import BENES, BUTTERFLY, MESH, grid_of
from tilewire.kernels import numba_cycles as machine
from tilewire.mapping.slots import schedule
from tilewire.mapping.streaming import StreamingFit
from tilewire.mapping.switches import benes_settings

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
_WIRES = {BUTTERFLY: machine.BANYAN, BENES: machine.REARRANGEABLE, MESH: machine.GRID}


@dataclass(frozen=True, eq=False)
class Simulation:
    """``outputs`` [images, n_out]; ``start``, ``finish`` [images]: cycle of the first word in, cycle after the last word out.

    Counts over all images: ``macs`` = ``reads`` (words from banks to PEs), ``writes`` (words into banks), ``stalls`` (array cycles in which
    a word had to wait), ``astray`` (words that left the switch at a wrong port).
    """

    outputs: Floats
    start: Longs
    finish: Longs
    macs: int
    reads: int
    writes: int
    stalls: int
    astray: int

    @property
    def latency(self) -> int:
        """Cycles of the first image, through the empty machine."""
        return int(self.finish[0] - self.start[0])

    @property
    def interval(self) -> float:
        """Mean cycles between results over the last half of the images; an even number of them, for both buffers take turns."""
        gaps = len(self.finish) // 4 * 2
        return float(self.finish[-1] - self.finish[-1 - gaps]) / gaps


def simulate(
    fitted: StreamingFit, weights: Sequence[Floats], images: Floats, biases: Sequence[Floats] | None = None
) -> Simulation:
    """Stream ``images`` [n, n_in] through; ``weights`` packed per stage (`StreamingNetwork.pack`), ``biases`` [n_out] per stage or none.

    Any schedule runs, also one that a blocking switch has to break up. Raises `UsageError` for other shapes, `RunError` if the machine
    stops.
    """
    network, a = fitted.network, fitted.accelerator
    images = np.ascontiguousarray(images, np.float64)
    if images.ndim != 2 or images.shape[1] != network.n_in or len(images) < 4:
        raise UsageError(f"images {images.shape}, wanted [at least 4, {network.n_in}]", where="cycle simulation")
    program = compile_program(fitted, weights, biases)
    arrays = int(fitted.home.max()) + 1
    sizes = machine.Machine(
        arrays, a.pes, a.banks, a.buffers, _WIRES.get(a.switch, machine.DIRECT), a.ports, _levels(a.switch, a.ports),
        grid_of(a.ports)[1], fitted.plans[0].latency,
    )  # fmt: skip
    state = machine.fresh(sizes, program, max(one.words for one in fitted.plans))
    out = np.zeros((len(images), network.n_out))
    start, finish = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
    first = np.searchsorted(fitted.home, np.arange(arrays))
    work = sum(stage.edges + stage.n_in + stage.n_out + sizes.latency for stage in network.stages)
    if machine.run(sizes, program, state, images, first, out, start, finish, len(images) * (work + 1)) < 0:
        raise RunError("the machine stopped before the last result", where="cycle simulation")
    _, reads, writes, stalls, astray = state.tally.tolist()
    return Simulation(out, start, finish, int(state.tally[machine.ISSUED]), reads, writes, stalls, astray)


def _levels(switch: str, ports: int) -> int:
    levels = (ports - 1).bit_length()
    return {BUTTERFLY: levels, BENES: max(2 * levels - 1, 0)}.get(switch, 0)


def compile_program(
    fitted: StreamingFit, weights: Sequence[Floats], biases: Sequence[Floats] | None = None
) -> machine.Program:
    """What every bank, switch cell and PE does in every slot."""
    network, a = fitted.network, fitted.accelerator
    slots, words, settings = [0], [], []
    for stage, packed in zip(network.stages, weights, strict=True):
        chosen, slot = schedule(stage, a.switch, a.pes, a.banks)
        order = np.argsort(slot, kind="stable")
        source, target = stage.source[order], stage.target[order]
        words.append((
            slot[order] + slots[-1], source % a.banks, source // a.banks, target % a.pes, target // a.pes, stage.values(packed)[order],
        ))  # fmt: skip
        slots.append(slots[-1] + chosen.slots)
        if a.switch == BENES:
            settings.append(_settings(slot[order], source % a.banks, target % a.pes, chosen.slots, a.ports))
    at, bank, address, pe, row, value = (np.concatenate(column) for column in zip(*words, strict=True))
    outs = np.array([stage.n_out for stage in network.stages])
    own = [np.zeros(n) for n in outs] if biases is None else [np.asarray(bias, float) for bias in biases]
    if [bias.size for bias in own] != outs.tolist():
        raise UsageError("one bias per output of every stage", where="cycle simulation")
    return machine.Program(
        np.array(slots), np.searchsorted(at, np.arange(slots[-1] + 1)), bank, address, pe, row, value, outs, fitted.home,
        np.array([stage.rectified for stage in network.stages]), np.concatenate(own), np.concatenate(([0], np.cumsum(outs))),
        np.concatenate(settings) if settings else np.zeros((1, 1, 1), np.bool_),
    )  # fmt: skip


def _settings(slot: Longs, start: Longs, end: Longs, slots: int, ports: int) -> NDArray[np.bool_]:
    """Benes settings of every slot, bool [slots, levels, ports]; words come sorted by slot."""
    crossed = np.zeros((slots, max(_levels(BENES, ports), 1), ports), np.bool_)
    ptr = np.searchsorted(slot, np.arange(slots + 1))
    for number in range(slots):
        here = slice(ptr[number], ptr[number + 1])
        benes_settings(start[here], end[here], ports, crossed[number])
    return crossed
