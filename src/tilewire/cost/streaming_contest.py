"""An a-priori topology on fixed wires against random sparsity on a generic accelerator: equal widths, stages, weights, PEs, bits and clock.

The generic accelerator has a crossbar and stores an index with every weight; apart from that both are the same machine with the least
memory that holds its network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tilewire.cost import streaming_laws as laws
from tilewire.cost.streaming_counts import design_counts
from tilewire.errors import UsageError
from tilewire.hardware.streaming import CROSSBAR, FIXED, StreamingAccelerator, Wiring
from tilewire.hardware.technology import Technology
from tilewire.mapping.streaming import sized
from tilewire.mapping.streaming_network import StreamingNetwork, streaming_network
from tilewire.topology.random import balanced_rows
from tilewire.topology.stage import Longs, Stage, Topology, pad_rows, table_stage

KINDS = ("regular", "uniform")
"""Random sparsity of constant fan-in and fan-out, the generic machine's best case, or of uniformly drawn positions."""


@dataclass(frozen=True)
class Contest:
    """One objective: a-priori and random value (median draw), their ratio, and its least and largest value over draws and technology.

    Technology: every constant at either end of its band alone, and all of them together; the same constants price both machines.
    """

    objective: str
    unit: str
    a_priori: float
    random: float
    ratio: float
    low: float
    high: float


def random_twin(topology: Topology, kind: str, rng: np.random.Generator) -> Topology:
    """Stages of the same widths and numbers of weights, drawn at random. Raises `UsageError` for sums of branches and unknown kinds."""
    if len(topology.branches) > 1 or kind not in KINDS:
        raise UsageError(
            f"a random twin of kind '{kind}' of {len(topology.branches)} branches",
            hint=f"one branch; {', '.join(KINDS)}",
        )
    stages = tuple(replace(_drawn(stage, kind, rng), skip=stage.skip) for stage in topology.branches[0])
    return Topology("random", (stages,), f"{kind} twin of {topology.name}")


def _drawn(stage: Stage, kind: str, rng: np.random.Generator) -> Stage:
    if kind == "regular":
        return table_stage(balanced_rows(stage.n_in, stage.n_out, round(stage.weights / stage.n_out), rng), stage.n_in)
    chosen: Longs = np.sort(rng.choice(stage.n_in * stage.n_out, stage.weights, replace=False))
    ptr = np.searchsorted(chosen, np.arange(stage.n_out + 1) * stage.n_in)
    return table_stage(pad_rows(ptr, chosen % stage.n_in), stage.n_in)


def contest(
    topology: Topology, technology: Technology, rng: np.random.Generator, *, kind: str = "regular", pes: int = 16, draws: int = 10,
    weight_bits: int = 8, activation_bits: int = 8, clock_hz: float = 5e8, stages: int = 0,
) -> tuple[Contest, ...]:  # fmt: skip
    """Power (both at the rate of the slower one), area, latency, energy and memory. ``stages`` 0: an array per stage.

    Raises `UsageError` where the topology is drawn itself (its wiring then needs a seed, and it is no formula).
    """
    if topology.index_bits:
        raise UsageError(f"'{topology.name}' is drawn at random, no a-priori formula", where="contest")
    wiring = Wiring(
        topology=topology.name, inputs=topology.n_in, outputs=topology.n_out, options=dict(topology.options)
    )
    network = streaming_network([topology])
    base = StreamingAccelerator(
        stages or network.depth, pes, pes, weight_bits, activation_bits, 1, 0, clock_hz, FIXED, wiring=(wiring,)
    )
    own = _counts(base, network)
    twins = [streaming_network([random_twin(topology, kind, rng)]) for _ in range(draws)]
    others = [_counts(base.with_sizes(switch=CROSSBAR, wiring=()), twin) for twin in twins]
    middle = {name: constant.value for name, constant in technology.constants.items()}
    at_middle = [_pair(own, other, middle) for other in others]
    ratios = [_ratio(_pair(own, other, constants)) for other in others for constants in _corners(technology)]
    rows = []
    for number, (name, unit) in enumerate(FIGURES):
        first, second = at_middle[0][0][number], float(np.median([pair[1][number] for pair in at_middle]))
        every = [ratio[number] for ratio in ratios]
        rows.append(Contest(name, unit, first, second, first / second, min(every), max(every)))
    return tuple(rows)


FIGURES = (("power_w", "W"), ("area_mm2", "mm2"), ("latency_s", "s"), ("energy_j", "J"), ("memory_bits", "bit"))


def _counts(accelerator: StreamingAccelerator, network: StreamingNetwork) -> dict[str, Any]:
    return design_counts(sized(accelerator, network), network)


def _pair(own: dict[str, Any], other: dict[str, Any], constant: dict[str, float]) -> tuple[list[float], list[float]]:
    """`FIGURES` of both at one rate of results, that of the slower one."""
    rate = min(laws.throughput(counts, constant) for counts in (own, other))
    found = []
    for counts in (own, other):
        power = laws.dynamic(counts, constant) * rate + laws.static_power(counts, constant)
        area, latency = laws.area(counts, constant) * laws.MM2, laws.latency(counts, constant)
        found.append([float(x) for x in (power, area, latency, power / rate, laws.memory_bits(counts, constant))])
    return found[0], found[1]


def _ratio(pair: tuple[list[float], list[float]]) -> list[float]:
    return [first / second for first, second in zip(*pair, strict=True)]


def _corners(technology: Technology) -> Iterator[dict[str, float]]:
    """The middle, every constant alone at either end of its band, all at the low and all at the high ends."""
    constants = technology.constants
    middle = {name: one.value for name, one in constants.items()}
    yield middle
    for end in ("low", "high"):
        ends = {name: float(getattr(one, end)) for name, one in constants.items()}
        yield ends
        yield from (middle | {name: value} for name, value in ends.items() if value != middle[name])
