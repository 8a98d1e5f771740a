"""Objectives of simulated designs: exact from counts, null where a constant is unknown, monotone in what costs."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.cost.activity import chip_counts, counts_for, layer_activity, route_counts, simulated_counts
from tilewire.cost.design_counts import counts_of_mapping
from tilewire.cost.objective import Price
from tilewire.cost.table import PRICES, price_design, price_designs
from tilewire.errors import UsageError
from tilewire.hardware.fabric import EAST, WEST
from tilewire.hardware.mosaic import mosaic
from tilewire.hardware.technology_file import load_technology
from tilewire.topology.table import TOPOLOGIES, fill

LOIHI = load_technology("loihi-14nm")
MAPPED = (
    "throughput_per_s",
    "latency_s",
    "power_w",
    "area_mm2",
    "energy_j",
)  # with accuracy and parameters: the six and energy


def counted(design):
    fabric, mapping = design.network.fabric, design.mapping
    return (
        chip_counts(fabric)
        | route_counts(fabric, mapping.trees, mapping.placement)
        | simulated_counts(fabric, design.activity)
    )


def test_hop_and_synapse_arithmetic_is_exact(designs):
    """Events counted here spike by spike and hop by hop, times the published figures."""
    design = designs["mesh"]
    fabric, trees, activity = design.network.fabric, design.mapping.trees, design.activity
    sideways = updown = entries = exits = rows = 0
    fan_out = design.network.live_branches().fan_out
    for neuron, spikes in enumerate(activity.neuron_spikes.tolist()):
        for link in trees.of(neuron).tolist():
            ends = fabric.tile_index[fabric.link_source[link]] >= 0, fabric.tile_index[fabric.link_target[link]] >= 0
            exits += spikes * ends[0]
            entries += spikes * ends[1]
            if not any(ends):
                sideways += spikes * (fabric.link_port[link] in (EAST, WEST))
                updown += spikes * (fabric.link_port[link] not in (EAST, WEST))
        rows += spikes * int(fan_out[neuron])
    samples, s = activity.samples, fabric.neurons_per_tile
    priced = price_design(counted(design), LOIHI)
    routed = (exits * 76.8e-12 + sideways * 3.0e-12 + updown * 4.2e-12 + entries * 1.7e-12) / samples
    assert priced["energy_routing_j"].value == pytest.approx(routed, rel=1e-12)
    own = sum(
        n for i, n in enumerate(activity.neuron_spikes.tolist()) if i // s not in design.network.roles.input_tiles
    )
    inputs = int((design.data.dense() > 0).sum())
    assert activity.branch_rows.sum() == rows
    assert activity.own_rows.sum() == own
    synapses = s * (rows + own + inputs) / samples
    assert priced["synaptic_operations_per_inference"].value == pytest.approx(synapses, rel=1e-12)
    assert priced["energy_synapses_j"].value == pytest.approx(synapses * 23.6e-12, rel=1e-12)
    assert priced["hops_per_inference"].value == pytest.approx(
        (exits + sideways + updown + entries) / samples, rel=1e-12
    )


def test_a_mesh_with_a_technology_has_every_objective(designs):
    priced = price_design(counted(designs["mesh"]), LOIHI)
    for name, one in priced.items():
        assert one.missing == (), name
        assert one.low <= one.value <= one.high, name
        assert np.isfinite(one.value)
    parts = sum(priced[f"energy_{part}_j"].value for part in ("routing", "synapses", "neurons", "static"))
    assert priced["energy_j"].value == pytest.approx(parts)
    assert priced["power_w"].value == pytest.approx(parts * priced["throughput_per_s"].value)
    assert priced["latency_s"].value >= 1 / priced["throughput_per_s"].value
    assert priced["area_mm2"].value == pytest.approx(
        sum(priced[f"area_{part}_mm2"].value for part in ("memory", "routers", "neurons"))
    )


@pytest.mark.parametrize("name", [None, "wan-130nm"])
def test_mosaic_counts_and_names_what_is_not_public(designs, name):
    technology = load_technology(name) if name else None
    priced = price_design(counted(designs["mosaic"]), technology)
    for counted_only in ("steps_per_inference", "hops_per_inference", "spikes_per_inference", "memory_bits"):
        assert priced[counted_only].value is not None
    for unknown in MAPPED:
        assert priced[unknown].value is None
        assert priced[unknown].low is None
        assert all(item.startswith("constant ") for item in priced[unknown].missing)
    assert "constant synapse_energy" in priced["energy_j"].missing
    assert "constant cell_area" in priced["area_mm2"].missing
    assert (priced["area_neurons_mm2"].value is None) == (name is None)


def test_the_way_a_technology_works_changes_what_is_counted(designs):
    counts = counted(designs["mesh"])
    serial = counts_for(LOIHI, counts)
    parallel = counts_for(dataclasses.replace(LOIHI, tiles="parallel", ports="channels", storage="devices"), counts)
    assert (serial["cells"], parallel["cells"]) == (counts["memory_bits"], counts["memory_devices"])
    assert (serial["neuron_turns"], parallel["neuron_turns"]) == (6, 1)
    assert (serial["rounds_mean"], parallel["rounds_mean"]) == (counts["port_events_mean"], counts["port_rounds_mean"])
    assert serial["synapse_turns_worst"] == 6 * counts["tile_rows_worst"]


def test_step_time_by_hand():
    """One spike east over one router hop: 299 + 2 x 9.7 + 30 + 7.6 + 4.1 + 2.1 + 2 x 4 ns."""
    counts = {
        "steps": 10, "neurons_per_tile": 2, "tile_rows_mean": 1, "tile_rows_worst": 1, "tile_spikes_mean": 1,
        "tile_spikes_worst": 1, "port_events_mean": 1, "port_events_worst": 3, "route_hops_east_west": [1, 0],
        "route_hops_north_south": [0, 0],
    }  # fmt: skip
    step = (299 + 2 * 9.7 + 30 + 7.6 + 4.1 + 2.1 + 2 * 4) * 1e-9
    priced = price_design(counts, LOIHI)
    assert priced["throughput_per_s"].value == pytest.approx(1 / (10 * step))
    assert priced["latency_s"].value == pytest.approx(10 * (step + 2 * 6.5e-9))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(
        [
            "spikes",
            "hops_east_west",
            "tile_entries",
            "synaptic_operations",
            "memory_bits",
            "port_events_worst",
            "tile_rows_mean",
        ]
    )
)
def test_more_of_anything_never_costs_less(designs, more):
    counts = counted(designs["mesh"])
    before, after = (price_design(counts | {more: counts[more] * by}, LOIHI) for by in (1, 3))
    for name in ("energy_j", "latency_s", "area_mm2", "static_power_w"):
        assert after[name].value >= before[name].value * (1 - 1e-12)
    assert after["throughput_per_s"].value <= before["throughput_per_s"].value


def test_many_designs_at_once_are_the_same_figures(designs):
    counts = [counted(designs["mesh"]) | {"spikes": n, "memory_bits": 100.0 * n} for n in (1.0, 5.0, 25.0)]
    arrays = {name: np.stack([np.asarray(one[name]) for one in counts]) for name in counts[0]}
    many = price_designs(arrays, LOIHI)
    for name in PRICES:
        singles = [price_design(one, LOIHI)[name].value for one in counts]
        assert np.broadcast_to(many[name], 3).tolist() == pytest.approx(singles), name
    with pytest.raises(UsageError, match="did you mean 'energy_j'"):
        price_designs(arrays, LOIHI, ("energy",))


def test_memory_bits_count_weights_and_switches():
    fabric = mosaic((2, 3), 4)
    by_kind = fabric.memory().by_kind
    assert chip_counts(fabric, 8)["memory_bits"] == 8 * by_kind["tile"] + by_kind["corner"] + by_kind["edge"]


def test_a_mapping_with_rates_expects_what_a_simulation_counts(designs):
    for design in designs.values():
        nets = dataclasses.replace(design.nets, rate=design.activity.rate)
        expected = counts_of_mapping(design.network.fabric, design.mapping, nets, steps=9)
        simulated = counted(design)
        for name, value in expected.items():
            assert value == (value if isinstance(value, list) else pytest.approx(simulated[name])), name
        assert price_design(expected, LOIHI)["energy_j"].missing == (
            "count synaptic_operations", "count rounds_mean", "count spike_turns_mean", "count synapse_turns_mean",
        )  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(TOPOLOGIES) - {"torus-1d"}))
def test_layers_are_counted_from_their_topology(name):
    topology = fill(name, 16, 16, 256, np.random.default_rng(0))
    for stages in topology.branches:
        for stage, work in zip(stages, layer_activity(stages), strict=True):
            edges = len(stage.connectivity())
            assert work.macs == work.activation_reads == edges + (stage.n_out if stage.skip else 0)
            assert work.weight_reads == edges
            assert work.activation_writes == stage.n_out
            assert 0 < work.broadcast_reads <= stage.n_in
            assert work.index_bits == stage.index_bits


def test_a_new_objective_is_one_line_of_the_table(designs, monkeypatch):
    """Joules times seconds, from laws that are there."""
    from tilewire.cost import energy, timing

    monkeypatch.setitem(
        PRICES,
        "energy_delay_js",
        Price(
            "energy_delay_js",
            "J s",
            "minimise",
            "energy_j x latency_s",
            lambda n, c: energy.energy(n, c) * timing.latency(n, c),
        ),
    )
    priced = price_design(counted(designs["mesh"]), LOIHI)
    assert priced["energy_delay_js"].value == pytest.approx(priced["energy_j"].value * priced["latency_s"].value)
    assert "constant step_time" in price_design(counted(designs["mosaic"]))["energy_delay_js"].missing


def test_a_mosaic_has_every_objective_once_its_constants_are_stated(designs):
    whole = dataclasses.replace(LOIHI, name="mine", storage="devices", ports="channels", tiles="parallel")
    priced = price_design(counted(designs["mosaic"]), whole)
    assert all(one.missing == () and one.low <= one.value <= one.high for one in priced.values())
    counts = counted(designs["mosaic"])
    constants = {name: one.value for name, one in LOIHI.constants.items()}
    assert priced["area_mm2"].value == pytest.approx(
        1e6
        * (
            counts["memory_devices"] * constants["cell_area"]
            + counts["routers"] * constants["router_area"]
            + counts["neurons"] * constants["neuron_area"]
        )
    )
