"""Streaming sparse accelerator: arrays of processing elements that stream a sparse cascade stage by stage.

An *array* holds Q processing elements (PEs), B activation banks and a switch from banks to PEs. Word j of a stage's input lies in bank
j mod B, output i is accumulated by PE i mod Q. In a cycle every bank reads at most one word, every PE takes at most one; the switch carries
this partial permutation. Results are written to the banks of the next array, or back to their own if the array works on several stages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from tilewire import units
from tilewire.errors import UsageError
from tilewire.hardware.technology import Technology
from tilewire.yamlfile import Record

FIXED, BUTTERFLY, BENES, CROSSBAR, MESH = "fixed", "butterfly", "benes", "crossbar", "mesh"
SWITCHES = (FIXED, BUTTERFLY, BENES, CROSSBAR, MESH)
"""Fixed wires of one pattern; a banyan of log2 P levels of 2 x 2 cells; Benes' rearrangeable network of 2 log2 P - 1 levels; a crossbar;
a mesh of routers whose links a path holds for one cycle (row first)."""


class Wiring(Record):
    """Topology that fixed wires implement, by the name and options that construct it; ``seed`` for drawn ones."""

    topology: str
    inputs: int = Field(ge=2, le=1 << 20)
    outputs: int = Field(ge=2, le=1 << 20)
    options: dict[str, int | float] = Field(default={})
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class StreamingAccelerator:
    """A streaming accelerator: ``stages`` equal arrays in a row.

    ``pes``, ``banks``: Q and B of each array. ``*_bits``: widths of a weight, an activation, an accumulator, a stored index.
    ``weight_memory_bits``, ``index_memory_bits`` are per PE, ``activation_memory_bits`` per bank and buffer, ``route_memory_bits`` (switch
    settings) per array, ``accumulators`` per PE and buffer. Weights, indices and settings are read in rows of ``row_bits``. ``buffers`` 2:
    banks and accumulators are doubled, so that neighbours work at the same time. ``time_shared``: an array may work on several
    consecutive stages of a deeper network.
    """

    stages: int
    pes: int
    banks: int
    weight_bits: int
    activation_bits: int
    accumulator_bits: int
    index_bits: int
    clock_hz: float
    switch: str
    buffers: int = 2
    time_shared: bool = True
    weight_memory_bits: int = 0
    index_memory_bits: int = 0
    activation_memory_bits: int = 0
    route_memory_bits: int = 0
    accumulators: int = 1
    row_bits: int = 64
    wiring: tuple[Wiring, ...] = ()
    technology: str | None = None
    name: str = ""

    family = "streaming"

    def __post_init__(self) -> None:
        """Verify sizes. Raises `UsageError`."""
        least = min(self.stages, self.pes, self.banks, self.weight_bits, self.activation_bits, self.accumulator_bits)
        if least < 1 or self.accumulators < 1 or self.row_bits < 1 or not self.clock_hz > 0:
            raise UsageError("stages, PEs, banks, widths, accumulators and clock are at least one", where=self.name)
        memories = (
            self.weight_memory_bits,
            self.index_memory_bits,
            self.activation_memory_bits,
            self.route_memory_bits,
        )
        if self.index_bits < 0 or min(memories) < 0:
            raise UsageError("memory below zero", where=self.name)
        if self.switch not in SWITCHES or self.buffers not in (1, 2):
            raise UsageError(f"switch '{self.switch}', {self.buffers} buffers", hint=f"{', '.join(SWITCHES)}; 1 or 2")

    @property
    def ports(self) -> int:
        """Ports of the switch: the larger of PEs and banks, a power of two for networks of 2 x 2 cells."""
        return switch_ports(self.switch, self.pes, self.banks)

    @property
    def memory_bits(self) -> int:
        """All memory: weights, indices, accumulators, activations and settings, every buffer counted."""
        accumulator = self.buffers * self.accumulators * self.accumulator_bits
        per_pe = self.weight_memory_bits + self.index_memory_bits + accumulator
        banks = self.banks * self.buffers * self.activation_memory_bits
        return self.stages * (self.pes * per_pe + banks + self.route_memory_bits)

    def with_sizes(self, **sizes: Any) -> StreamingAccelerator:
        """The same accelerator with other figures."""
        return replace(self, **sizes)


def switch_ports(switch: str, pes: int, banks: int) -> int:
    """Ports of a switch between ``banks`` and ``pes``."""
    wide = max(pes, banks)
    return 1 << (wide - 1).bit_length() if switch in (BUTTERFLY, BENES) else wide


def grid_of(ports: int) -> tuple[int, int]:
    """Most square rows x columns with this many nodes: the floor plan of an array and the shape of a mesh."""
    rows = next(r for r in range(int(ports**0.5), 0, -1) if ports % r == 0)
    return rows, ports // rows


def _quantity(dimension: str) -> Any:
    def parsed(value: object) -> object:
        if isinstance(value, str):
            try:
                return units.parse(value, dimension)
            except UsageError as error:
                raise ValueError(error.message) from error
        if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
            return 0.0
        raise ValueError(f"write a number with a unit of {dimension}")

    return BeforeValidator(parsed)


def _whole_bits(value: object) -> object:
    if isinstance(value, float) and value != int(value):
        raise ValueError("is no whole number of bits")
    return int(value) if isinstance(value, float) else value


Bits = Annotated[int, BeforeValidator(_whole_bits), _quantity("memory"), Field(ge=0, le=1 << 40)]
Hertz = Annotated[float, _quantity("frequency"), Field(gt=0, le=1e12)]
Width = Annotated[int, Field(ge=1, le=64)]


class Widths(Record):
    """Bits of a weight, an activation, an accumulator and a stored index (0: no index memory is read)."""

    weight: Width
    activation: Width
    accumulator: Annotated[int, Field(ge=1, le=128)]
    index: Annotated[int, Field(ge=0, le=64)] = 0


class Memory(Record):
    """Weights and indices per PE, activations per bank and buffer, switch settings per array; ``row``: what one access reads."""

    weight: Bits
    index: Bits = 0
    activation: Bits
    route: Bits = 0
    row: Annotated[Bits, Field(ge=1, le=4096)] = 64


class StreamingDescription(Record):
    """A streaming accelerator as its YAML file states it."""

    family: str
    name: str = ""
    stages: int = Field(ge=1, le=4096)
    time_shared: bool = True
    pes: int = Field(ge=1, le=4096)
    banks: int = Field(ge=1, le=4096)
    switch: str
    buffers: int = Field(default=2, ge=1, le=2)
    clock: Hertz
    bits: Widths
    memory: Memory
    accumulators: int = Field(ge=1, le=1 << 20)
    wiring: tuple[Wiring, ...] = Field(default=(), strict=False)
    technology: str | None = None

    @model_validator(mode="after")
    def _switch(self) -> StreamingDescription:
        if self.switch not in SWITCHES:
            raise ValueError(f"switch '{self.switch}' is none of {', '.join(SWITCHES)}")
        if (self.switch == FIXED) != bool(self.wiring):
            raise ValueError("wiring names the pattern of switch 'fixed', and only of that")
        return self

    def build(self, technology: Technology | None = None) -> StreamingAccelerator:
        """The accelerator of this description."""
        memory, bits = self.memory, self.bits
        return StreamingAccelerator(
            stages=self.stages, pes=self.pes, banks=self.banks, weight_bits=bits.weight, activation_bits=bits.activation,
            accumulator_bits=bits.accumulator, index_bits=bits.index, clock_hz=self.clock, switch=self.switch,
            buffers=self.buffers, time_shared=self.time_shared, weight_memory_bits=memory.weight,
            index_memory_bits=memory.index, activation_memory_bits=memory.activation, route_memory_bits=memory.route,
            accumulators=self.accumulators, row_bits=memory.row, wiring=self.wiring, technology=self.technology, name=self.name,
        )  # fmt: skip


TEMPLATE = """\
# Streaming accelerator: arrays of processing elements (PEs) that stream a sparse cascade stage by stage.
family: streaming
name: {name}
stages: 4 # arrays in a row
time_shared: true # a deeper network runs several stages on one array
pes: 16 # per array
banks: 16 # activation banks per array
switch: crossbar # fixed | butterfly | benes | crossbar | mesh, from banks to PEs; fixed needs `wiring`
buffers: 2 # 2: neighbouring arrays work at the same time
clock: 800 MHz
bits: {{ weight: 8, activation: 8, accumulator: 24, index: 12 }}
memory: # weight and index per PE, activation per bank and buffer, route (switch settings) per array
  weight: 16384 b
  index: 24576 b
  activation: 128 b
  route: 0 b
  row: 64 b # one access of the weight, index or route memory
accumulators: 16 # per PE and buffer
"""
