"""Laws of streaming accelerators: counts of `streaming_counts` times constants of a technology; single designs and arrays of them alike.

Component areas add up: SRAM macros as CACTI has them, logic divided by its fill. An array is taken as square; a word that crosses a switch
in its middle travels one side of it and twice the side of the switch, a word on fixed wires or through a mesh the way between bank and PE.
Wires run above the cells and take no area of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tilewire.cost.objective import Counts, Price

MEMORIES = ("weight", "index", "activation", "accumulator", "route")
KB = 8192.0
MM = 1e3
MM2 = 1e6


def _macro(count: Counts, memory: str) -> tuple[Any, Any, Any]:
    """Size in KB and number of the macros of a memory, bits per access."""
    per_pe, per_bank = count["arrays"] * count["pes"], count["arrays"] * count["banks"] * count["buffers"]
    if memory == "accumulator":
        return (
            count["accumulators"] * count["accumulator_bits"] / KB,
            per_pe * count["buffers"],
            count["accumulator_bits"],
        )
    if memory == "activation":
        return count["activation_size_bits"] / KB, per_bank, count["activation_bits"]
    if memory == "index":
        return (
            count["index_size_bits"] / count["index_banks"] / KB,
            per_pe * count["index_banks"],
            count["index_row_bits"],
        )
    return count[f"{memory}_size_bits"] / KB, count["arrays"] if memory == "route" else per_pe, count["row_bits"]


def _access(constant: Counts, verb: str, kb: Any, width: Any) -> Any:
    """Energy of one SRAM access."""
    size, wide = constant[f"sram_{verb}_size_exponent"], constant[f"sram_{verb}_width_exponent"]
    return constant[f"sram_{verb}_energy"] * kb**size * (width / 16) ** wide


def area_memory(count: Counts, constant: Counts) -> Any:
    """All SRAM macros."""
    macros = [_macro(count, memory) for memory in MEMORIES]
    return sum(number * constant["sram_area"] * kb ** constant["sram_area_size_exponent"] for kb, number, _ in macros)


def _switch_cells(count: Counts, constant: Counts) -> Any:
    """Area of the multiplexers, before fill."""
    return count["mux_cells"] * count["activation_bits"] * constant["mux_bit_area"]


def area_switch(count: Counts, constant: Counts) -> Any:
    """Multiplexers and the registers behind every level."""
    registers = count["arrays"] * count["switch_registers"] * count["ports"] * count["activation_bits"]
    return (_switch_cells(count, constant) + registers * constant["register_bit_area"]) / constant["logic_fill"]


def _pipeline_bits(count: Counts) -> Any:
    """Registers that a MAC passes: both operands, product, sum."""
    return 2 * (count["weight_bits"] + count["activation_bits"]) + count["accumulator_bits"]


def area_logic(count: Counts, constant: Counts) -> Any:
    """Multiplier, adder, pipeline registers, row buffer and address counter of every PE."""
    registers = _pipeline_bits(count) + count["row_bits"] + count["index_bits"]
    one = (
        count["weight_bits"] * count["activation_bits"] * constant["multiply_bit2_area"]
        + (count["accumulator_bits"] + count["index_bits"]) * constant["add_bit_area"]
        + registers * constant["register_bit_area"]
    )
    return count["arrays"] * count["pes"] * one / constant["logic_fill"]


def area(count: Counts, constant: Counts) -> Any:
    """All of it."""
    return area_memory(count, constant) + area_logic(count, constant) + area_switch(count, constant)


def arithmetic(count: Counts, constant: Counts) -> Any:
    """Products of operands that are not zero, sums, pipeline registers."""
    one = (
        count["weight_bits"] * count["activation_bits"] * constant["multiply_bit2_energy"]
        + count["accumulator_bits"] * constant["add_bit_energy"]
        + _pipeline_bits(count) * constant["register_bit_energy"]
    )
    return count["macs"] * count["activity"] * one


def memory(count: Counts, constant: Counts) -> Any:
    """Weight rows into their buffer, activation words in and out of banks, sums in and out of accumulators."""
    (weights, _, row), (banks, _, word), (sums, _, wide) = (
        _macro(count, name) for name in ("weight", "activation", "accumulator")
    )
    return (
        count["weight_bits_read"] * (_access(constant, "read", weights, row) / row + constant["register_bit_energy"])
        + count["activation_reads"] * _access(constant, "read", banks, word)
        + count["activation_writes"] * _access(constant, "write", banks, word)
        + count["sums_stored"] * (_access(constant, "read", sums, wide) + _access(constant, "write", sums, wide))
    )


def index(count: Counts, constant: Counts) -> Any:
    """Index rows and switch settings that are read; addresses that a counter forms where the wiring is a formula."""
    (indices, _, row), (routes, _, wide) = _macro(count, "index"), _macro(count, "route")
    register = constant["register_bit_energy"]
    return (
        count["index_bits_read"] * (_access(constant, "read", indices, row) / row + register)
        + count["route_bits_read"] * (_access(constant, "read", routes, wide) / wide + register)
        + count["address_bits"] * (constant["add_bit_energy"] + register)
    )


def _side(count: Counts, constant: Counts) -> Any:
    """Side of an array in mm."""
    return np.sqrt(area(count, constant) / count["arrays"]) * MM


def switch(count: Counts, constant: Counts) -> Any:
    """Cells, registers and wires that words pass to the PEs, and the wires back to banks."""
    side, bits = _side(count, constant), count["activation_bits"]
    inside = 2 * np.sqrt(area_switch(count, constant) / count["arrays"]) * MM
    length = (
        count["floor_steps"] * side / np.sqrt(count["ports"])
        + count["across"] * count["macs"] * (side + inside)
        + count["outputs"] * side
    )
    registers = count["macs"] * count["switch_registers"] * constant["register_bit_energy"]
    return bits * (count["mux_passed"] * constant["mux_bit_energy"] + registers + length * constant["wire_mm_energy"])


def static_power(count: Counts, constant: Counts) -> Any:
    """Leakage of SRAM by size, of logic by cell area."""
    macros = [_macro(count, name) for name in MEMORIES]
    sram = sum(
        number * constant["sram_leakage_power"] * kb ** constant["sram_leakage_size_exponent"]
        for kb, number, _ in macros
    )
    logic = (area_logic(count, constant) + area_switch(count, constant)) * constant["logic_fill"]
    return sram + logic * MM2 * constant["logic_mm2_leakage_power"]


def throughput(count: Counts, constant: Counts) -> Any:
    """Results per second."""
    return count["clock_hz"] / count["interval_cycles"]


def latency(count: Counts, constant: Counts) -> Any:
    """First word in to last word out."""
    return count["latency_cycles"] / count["clock_hz"]


def static(count: Counts, constant: Counts) -> Any:
    """Leakage between two results."""
    return static_power(count, constant) / throughput(count, constant)


def dynamic(count: Counts, constant: Counts) -> Any:
    """Energy of an inference without leakage."""
    parts = (part(count, constant) for part in (arithmetic, memory, index, switch))
    return sum(parts)


def energy(count: Counts, constant: Counts) -> Any:
    """Energy of an inference at full rate."""
    return dynamic(count, constant) + static(count, constant)


def power(count: Counts, constant: Counts) -> Any:
    """Mean power at full rate."""
    return dynamic(count, constant) * throughput(count, constant) + static_power(count, constant)


def dynamic_power(count: Counts, constant: Counts) -> Any:
    """The part of it that stands still with the clock."""
    return dynamic(count, constant) * throughput(count, constant)


def shortest_period(count: Counts, constant: Counts) -> Any:
    """Longest of: a bank access, a row access spread over the words of the row, a crossing of the array from register to register."""
    (weights, _, row), (indices, _, _), (banks, _, _) = (
        _macro(count, name) for name in ("weight", "index", "activation")
    )

    def access(kb: Any) -> Any:
        return constant["sram_access_time"] * kb ** constant["sram_access_size_exponent"]

    rows = np.maximum(access(weights) * count["weight_bits"], access(indices) * count["index_bits"]) / row
    crossing = _side(count, constant) / np.maximum(count["switch_registers"], 1) * constant["wire_mm_time"]
    return np.maximum(np.maximum(access(banks), rows), crossing)


def clock_bound(count: Counts, constant: Counts) -> Any:
    """Highest clock that memories and wires allow."""
    return 1 / shortest_period(count, constant)


def memory_bits(count: Counts, constant: Counts) -> Any:
    """Capacity of all memories."""
    return sum(kb * number * KB for kb, number, _ in (_macro(count, name) for name in MEMORIES))


COMPONENTS = ("energy_arithmetic_j", "energy_memory_j", "energy_index_j", "energy_switch_j", "energy_static_j")
PRICES = (
    Price("parameters", "weights", "minimise", "trainable weights and biases", lambda count, _: count["parameters"]),
    Price("throughput_per_s", "1/s", "maximise", "clock / interval cycles", throughput),
    Price("latency_s", "s", "minimise", "latency cycles / clock", latency),
    Price("power_w", "W", "minimise", "dynamic_power_w + static_power_w", power),
    Price("dynamic_power_w", "W", "report", "(energy_j - energy_static_j) x throughput_per_s", dynamic_power),
    Price("static_power_w", "W", "report", "macros x leakage KB^exponent + cell area of logic x leakage", static_power),
    Price("area_mm2", "mm2", "minimise", "area_memory_mm2 + area_logic_mm2 + area_switch_mm2", area, MM2),
    Price("area_memory_mm2", "mm2", "report", "macros x area KB^exponent", area_memory, MM2),
    Price("area_logic_mm2", "mm2", "report", "PEs x (multiplier + adders + registers) / fill", area_logic, MM2),
    Price("area_switch_mm2", "mm2", "report", "(multiplexers + registers) / fill", area_switch, MM2),
    Price("energy_j", "J", "minimise", f"{' + '.join(COMPONENTS)}, at full rate", energy),
    Price("energy_arithmetic_j", "J", "report", "MACs x activity x (multiply + add + registers)", arithmetic),
    Price("energy_memory_j", "J", "report", "row, bank and accumulator reads and writes, each by size and width", memory),
    Price("energy_index_j", "J", "report", "index and route rows read + address bits x (add + register)", index),
    Price("energy_switch_j", "J", "report", "bits x (cells passed x cell + registers x register + mm x wire)", switch),
    Price("energy_static_j", "J", "report", "static_power_w / throughput_per_s", static),
    Price("memory_bits", "bit", "minimise", "macros x size, every buffer", memory_bits),
    Price("clock_bound_hz", "Hz", "report", "1 / slowest of bank, row per word, wire; the multiplier's delay is not known", clock_bound),
)  # fmt: skip
