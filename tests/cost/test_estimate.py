"""Estimates: equal to sums over all pairs of tiles, near to simulations, many per second."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.cost.activity import link_counts
from tilewire.cost.estimate import Geometry, chip_of, estimate, expected_counts
from tilewire.cost.table import PRICES
from tilewire.errors import UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.hardware.technology_file import load_technology
from tilewire.mapping.nets import Nets
from tilewire.mapping.routing import map_nets

LOIHI = load_technology("loihi-14nm")


def events_by_pairs(fabric, profile, rate):
    """Expected events on each link of one step: every source tile, every link, every target, one probability at a time."""
    events = np.zeros(fabric.n_links)
    for source in range(fabric.n_tiles):
        unused = np.ones(fabric.n_links)
        for target in range(fabric.n_tiles):
            if source == target:
                continue
            ports, lengths = fabric.fixed_path(fabric, np.array([source], np.int32), np.array([target], np.int32))
            node = int(fabric.tile_node[source])
            for port, length in zip(ports[0].tolist(), lengths[0].tolist(), strict=True):
                for _ in range(length):
                    link = int(fabric.link_at[node, port])
                    unused[link] *= 1 - profile.get(int(fabric.hop_distance[source, target]), 0.0)
                    node = int(fabric.link_target[link])
        events += fabric.neurons_per_tile * rate * (1 - unused)
    return events


@settings(deadline=None, max_examples=15)
@given(st.sampled_from([mosaic, mesh]), st.tuples(st.integers(1, 3), st.integers(2, 4)), st.integers(1, 9), st.data())
def test_equal_to_sums_over_pairs(family, grid, s, data):
    fabric = family(grid, s)
    geometry = Geometry.of(fabric)
    profile = {d: data.draw(st.floats(0, 1)) for d in geometry.classes}
    found = expected_counts(geometry, geometry.densities([profile]), 0.1, 7, s)
    events = 7 * events_by_pairs(fabric, profile, 0.1)
    for name, links in (("tile_entries", 1), ("tile_exits", 2)):
        assert found[name][0] == pytest.approx(events[fabric.link_class == links].sum())
    inner = found["hops_east_west"][0] + found["hops_north_south"][0]
    assert inner == pytest.approx(events[fabric.link_class == 0].sum())
    pairs = fabric.hop_classes
    assert found["branches"][0] == pytest.approx(sum(p * s * pairs[d] for d, p in profile.items()))


@pytest.mark.parametrize("family", [mosaic, mesh])
def test_near_to_drawn_nets_and_spikes(family):
    """Random nets of one density per class, every neuron firing at random: the mean of ten chips over 400 steps each."""
    fabric, s, rate, rng = family((3, 4), 8), 8, 0.15, np.random.default_rng(0)
    geometry = Geometry.of(fabric)
    profile = {d: 0.6 / d for d in geometry.classes}
    own = np.arange(fabric.n_neurons) // s
    distance = fabric.hop_distance[own]
    density = np.where(distance > 0, 0.6 / np.maximum(distance, 1), 0)
    drawn: dict[str, list[float]] = {}
    for _ in range(10):
        source, tile = np.nonzero(rng.random(density.shape) < density)
        nets = Nets.of(Connectivity.of(source, tile, own.size, fabric.n_tiles))
        mapping = map_nets(fabric, nets, nets.group)
        spikes = (rng.random((400, own.size)) < rate).astype(np.int64)
        uses = np.zeros((own.size, fabric.n_links), np.int64)
        uses[mapping.trees.owner, mapping.trees.link] = 1
        events = spikes @ uses
        rows = spikes @ (np.bincount(source * fabric.n_tiles + tile, minlength=density.size).reshape(density.shape))
        rows += spikes.reshape(400, -1, s).sum(axis=2)
        seen = link_counts(fabric, events.mean(axis=0)) | {
            "branches": len(nets.branches), "port_events_mean": events.max(axis=1).mean(), "port_events_worst": events.max(),
            "tile_rows_mean": rows.max(axis=1).mean(), "tile_rows_worst": rows.max(), "nets_router": mapping.max_load["router"],
            "nets_tile_in": mapping.max_load["tile_in"],
        }  # fmt: skip
        for name, value in seen.items():
            drawn.setdefault(name, []).append(float(value))
    found = expected_counts(geometry, geometry.densities([profile]), rate, 1, s, burst=1.0)
    for name, values in drawn.items():
        exact = name.startswith(("hops", "tile_e", "branches"))
        assert found[name][0] == pytest.approx(np.mean(values), rel=0.06 if exact else 0.4), name


def test_chips_are_the_ones_that_the_family_builds():
    geometry = Geometry.of(mosaic((2, 3), 4))
    found = chip_of(geometry, [4, 8], [3, 5], [6, 7], [4, 8], weight_bits=8)
    for at, chip in enumerate((mosaic((2, 3), 4, router=3, tile_in=6), mosaic((2, 3), 8, router=5, tile_in=7))):
        memory = chip.memory()
        assert found["memory_devices"][at] == memory.total
        assert found["memory_bits"][at] == 8 * memory.by_kind["tile"] + memory.total - memory.by_kind["tile"]


def test_every_objective_of_many_meshes_and_nulls_of_mosaics():
    rng = np.random.default_rng(0)
    for family, technology in ((mesh, LOIHI), (mosaic, None)):
        geometry = Geometry.of(family((3, 3), 8))
        density = rng.random((50, len(geometry.classes)))
        found = estimate(
            geometry, density, rng.random(50), 20, neurons_per_tile=rng.integers(2, 20, 50), technology=technology
        )
        assert set(PRICES) < set(found)
        for name, value in found.items():
            if value is None:
                assert family is mosaic
            else:
                assert value.shape == (50,), name
                assert np.isfinite(value).all(), name
        assert (found["energy_j"] is None) == (family is mosaic)
        assert (found["memory_devices"] > 0).all()


def test_denser_profiles_never_cost_less():
    geometry = Geometry.of(mesh((3, 4), 8))
    density = np.linspace(0, 1, 11)[:, None] * np.ones(len(geometry.classes))
    found = estimate(geometry, density, 0.05, 20, technology=LOIHI)
    for name in ("energy_j", "latency_s", "area_mm2", "memory_devices", "hops_per_inference", "parameters"):
        assert (np.diff(found[name]) >= 0).all(), name


def test_unknown_hop_class():
    with pytest.raises(UsageError, match=r"hop classes \[9\]"):
        Geometry.of(mesh((2, 2), 3)).densities([{9: 0.5}])


def test_at_least_a_thousand_designs_a_second():
    geometry = Geometry.of(mosaic((5, 5), 32))
    density = np.random.default_rng(0).random((500, len(geometry.classes))) * 0.2
    estimate(geometry, density[:2], 0.05, 50, technology=LOIHI)
    start = time.process_time()
    estimate(geometry, density, 0.05, 50, technology=LOIHI)
    assert 500 / (time.process_time() - start) > 1000
