"""Laws of streaming accelerators: anchors, monotony, one design against many, what is missing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.cost import streaming_laws as laws
from tilewire.cost.streaming import PRICES, TECHNOLOGY, clock_violations, objectives, screen
from tilewire.cost.streaming_anchor import PUBLISHED, eie_pe
from tilewire.cost.streaming_contest import KINDS, contest, random_twin
from tilewire.cost.streaming_counts import design_counts
from tilewire.errors import UsageError
from tilewire.hardware.streaming import SWITCHES, StreamingAccelerator, Wiring
from tilewire.hardware.technology import Technology
from tilewire.hardware.technology_file import load_technology
from tilewire.mapping.streaming import sized
from tilewire.mapping.streaming_network import StreamingNetwork, streaming_network
from tilewire.topology.table import TOPOLOGIES

TECH = load_technology(TECHNOLOGY)
BASE = StreamingAccelerator(2, 8, 8, 8, 8, 8, 0, 5e8, "crossbar")
WIRES = Wiring(topology="butterfly", inputs=64, outputs=64, options={"radix": 4})
BUTTERFLY = streaming_network([TOPOLOGIES["butterfly"](64, 64, radix=4)])
RANDOM = streaming_network([TOPOLOGIES["random"](64, 64, np.random.default_rng(0), depth=3, fan_in=4)])


def price(accelerator: StreamingAccelerator, network: StreamingNetwork) -> dict[str, float]:
    found = objectives(accelerator, network, TECH)
    assert not any(one.missing for one in found.values())
    return {name: one.value or 0.0 for name, one in found.items()}


def test_one_published_pe_within_20_percent() -> None:
    found = eie_pe(TECH)
    for name, published in PUBLISHED.items():
        assert found[name].value == pytest.approx(published, rel=0.20), name
    assert (found["power_w"].low or 0) < PUBLISHED["power_w"] < (found["power_w"].high or 0)


def test_parts_add_up_and_bands_hold_the_value() -> None:
    for switch in SWITCHES:
        network = BUTTERFLY
        wiring = (WIRES,) if switch == "fixed" else ()
        found = objectives(BASE.with_sizes(switch=switch, wiring=wiring) if switch == "mesh" else
                           sized(BASE.with_sizes(switch=switch, wiring=wiring), network), network, TECH)  # fmt: skip
        value = {name: one.value for name, one in found.items()}
        assert value["area_mm2"] == pytest.approx(
            sum(value[f"area_{part}_mm2"] or 0 for part in ("memory", "logic", "switch"))
        )
        if switch == "mesh":
            assert value["power_w"] is None
            assert "interval_cycles" in found["power_w"].missing[0]
            continue
        assert value["energy_j"] == pytest.approx(sum(value[name] or 0 for name in laws.COMPONENTS))
        assert value["power_w"] == pytest.approx((value["dynamic_power_w"] or 0) + (value["static_power_w"] or 0))
        assert value["power_w"] == pytest.approx((value["energy_j"] or 0) * (value["throughput_per_s"] or 0))
        for one in found.values():
            assert (one.low or 0) <= (one.value or 0) <= (one.high or 0), one.name


def test_memory_is_the_capacity_of_the_hardware() -> None:
    least = sized(BASE, RANDOM)
    assert price(least, RANDOM)["memory_bits"] == least.memory_bits
    larger = least.with_sizes(weight_memory_bits=2 * least.weight_memory_bits)
    before, after = price(least, RANDOM), price(larger, RANDOM)
    assert after["memory_bits"] == larger.memory_bits
    for name in ("area_mm2", "power_w", "static_power_w"):
        assert after[name] > before[name]


def test_energy_by_hand() -> None:
    """One component with its figures written out: 768 MACs of 8 x 8 bits into 19-bit sums, registers 2 (8 + 8) + 19 bits."""
    network = replace(BUTTERFLY, activity=0.5)
    accelerator = sized(BASE, network)
    assert accelerator.accumulator_bits == 19
    one = 64 * 3.1e-15 + 19 * 3.3e-15 + (2 * 16 + 19) * 9e-15
    assert price(accelerator, network)["energy_arithmetic_j"] == pytest.approx(768 * 0.5 * one)
    written = 0.63e-12 * (64 / 8192) ** 0.45 * (8 / 16) ** 0.53
    read = 0.73e-12 * (64 / 8192) ** 0.54 * (8 / 16) ** 0.28
    counts = design_counts(accelerator, network)
    assert accelerator.activation_memory_bits == 64
    empty = counts | {"weight_bits_read": 0, "sums_stored": 0}
    constants = {name: constant.value for name, constant in TECH.constants.items()}
    assert laws.memory(empty, constants) == pytest.approx(768 * read + (64 + 3 * 64) * written)


def batch(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "stages": rng.integers(1, 6, n), "pes": rng.integers(1, 40, n), "banks": rng.integers(1, 40, n),
        "switch": rng.choice(SWITCHES, n), "weight_bits": rng.integers(2, 17, n), "activation_bits": rng.integers(2, 17, n),
        "buffers": rng.integers(1, 3, n), "clock_hz": rng.uniform(1e8, 1e9, n),
    }  # fmt: skip


@pytest.mark.parametrize("network", [BUTTERFLY, RANDOM], ids=["butterfly", "random"])
def test_a_batch_is_its_designs_one_by_one(network: StreamingNetwork) -> None:
    designs = batch(40, np.random.default_rng(2))
    found = screen(network, designs, TECH, tuple(PRICES))
    for n in range(40):
        knobs = {name: column[n].item() for name, column in designs.items()}
        wiring = tuple(Wiring(topology="dense", inputs=64, outputs=64) for _ in range(knobs["switch"] == "fixed"))
        one = StreamingAccelerator(accumulator_bits=8, index_bits=0, wiring=wiring, **knobs)
        blocked = design_counts(one, network)["interval_cycles"] is None
        assert np.isnan(found["power_w"][n]) == blocked
        if blocked or knobs["switch"] == "fixed":
            continue
        alone = price(sized(one, network), network)
        for name, column in found.items():
            assert column[n] == pytest.approx(alone[name], rel=1e-12), name


def test_screen_refuses_what_it_cannot_answer() -> None:
    designs = batch(3, np.random.default_rng(0))
    with pytest.raises(UsageError, match="clock_hz"):
        screen(RANDOM, {name: column for name, column in designs.items() if name != "clock_hz"}, TECH)
    with pytest.raises(UsageError, match="power_w"):
        screen(RANDOM, designs, TECH, ("powr_w",))
    with pytest.raises(UsageError, match="lacks"):
        screen(RANDOM, designs, Technology("none", {}))
    fast = screen(RANDOM, designs | {"clock_hz": np.full(3, 1e11)}, TECH)
    assert np.isnan(fast["area_mm2"]).all()


def test_a_missing_constant_is_named() -> None:
    constants = {name: one for name, one in TECH.constants.items() if name != "mux_bit_energy"}
    found = objectives(sized(BASE, RANDOM), RANDOM, Technology("partial", constants))
    assert found["power_w"].value is None
    assert found["power_w"].missing == ("constant mux_bit_energy",)
    assert found["area_mm2"].value is not None
    assert all(
        one.value is not None
        for one in objectives(BASE, RANDOM, None).values()
        if one.name in ("latency_s", "memory_bits")
    )


@given(
    st.integers(1, 64), st.integers(1, 64), st.sampled_from(["fixed", "crossbar"]), st.integers(1, 2), st.integers(1, 4)
)
@settings(deadline=None, max_examples=60)
def test_more_pes_are_never_slower(few: int, more: int, switch: str, buffers: int, stages: int) -> None:
    """Constant fan-in and fan-out, banks = PEs, a switch whose depth does not grow."""
    few, more = sorted((few, more))
    designs = {
        "stages": stages,
        "pes": [few, more],
        "banks": [few, more],
        "switch": switch,
        "weight_bits": 8,
        "activation_bits": 8,
        "buffers": buffers,
        "clock_hz": 1e8,
    }
    for network in (BUTTERFLY, RANDOM):
        found = screen(network, designs, TECH, ("throughput_per_s", "latency_s"))
        assert found["throughput_per_s"][1] >= found["throughput_per_s"][0]
        assert found["latency_s"][1] <= found["latency_s"][0]


@given(st.sampled_from(sorted(TOPOLOGIES)), st.integers(1, 6), st.integers(1, 4), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_multiples_of_pes_never_take_more_slots(name: str, pes: int, times: int, seed: int) -> None:
    """Whatever the loads: classes modulo a multiple are parts of classes."""
    try:
        network = streaming_network([TOPOLOGIES[name](20, 12, np.random.default_rng(seed))])
    except UsageError:
        return
    few, more = (BASE.with_sizes(pes=n, banks=n) for n in (pes, pes * times))
    counts = [design_counts(one, network) for one in (few, more)]
    assert counts[1]["latency_cycles"] <= counts[0]["latency_cycles"]


@pytest.mark.parametrize("switch", ["fixed", "crossbar", "benes", "butterfly"])
@pytest.mark.parametrize("knob", ["weight_bits", "activation_bits"])
def test_more_bits_are_never_smaller(switch: str, knob: str) -> None:
    designs = {
        "stages": 2,
        "pes": 16,
        "banks": 16,
        "switch": switch,
        "weight_bits": 8,
        "activation_bits": 8,
        "buffers": 2,
        "clock_hz": 1e8,
    }
    found = screen(
        BUTTERFLY, designs | {knob: np.arange(1, 33)}, TECH, ("area_mm2", "power_w", "energy_j", "memory_bits")
    )
    for column in found.values():
        assert (np.diff(column) > 0).all()


def test_arrays_and_buffers_buy_throughput() -> None:
    designs = {"pes": 8, "banks": 8, "switch": "crossbar", "weight_bits": 8, "activation_bits": 8, "clock_hz": 1e8}
    found = screen(RANDOM, designs | {"stages": np.arange(1, 7), "buffers": 2}, TECH, ("throughput_per_s",))[
        "throughput_per_s"
    ]
    assert (np.diff(found) >= 0).all()
    assert found[2] > 2 * found[0]
    one, two = screen(RANDOM, designs | {"stages": 3, "buffers": np.array([1, 2])}, TECH, ("throughput_per_s",))[
        "throughput_per_s"
    ]
    assert two > one


def test_a_clock_beyond_the_memories_is_a_violation() -> None:
    least = sized(BASE, RANDOM)
    assert clock_violations(least, RANDOM, TECH) == ()
    slow = clock_violations(least.with_sizes(clock_hz=5e10), RANDOM, TECH)
    assert slow[0].used > slow[0].limit
    assert clock_violations(least.with_sizes(clock_hz=slow[0].limit * 1e6), RANDOM, TECH) == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["butterfly", "monarch", "parallel-cross"])
def test_an_a_priori_topology_lowers_power_area_and_latency(name: str, kind: str) -> None:
    topology = TOPOLOGIES[name](64, 64)
    rng = np.random.default_rng(0)
    twin = random_twin(topology, kind, rng)
    assert [(one.n_in, one.n_out, one.weights) for one in twin.stages] == [
        (one.n_in, one.n_out, one.weights) for one in topology.stages
    ]
    rows = {row.objective: row for row in contest(topology, TECH, rng, kind=kind, pes=8, draws=3)}
    for objective in ("power_w", "area_mm2", "latency_s"):
        assert rows[objective].low <= rows[objective].ratio <= rows[objective].high < 1, objective
    with pytest.raises(UsageError, match="drawn"):
        contest(twin, TECH, rng)
