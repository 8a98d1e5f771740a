"""Mapping: verdict, violations, memory, and the file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.errors import DataError, NetsError, TilewireError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.explain import explain
from tilewire.mapping.nets import Nets
from tilewire.mapping.routing import load_mapping, map_nets, save_mapping
from tilewire.mapping.trees import from_hops, hops, port_use


def by_index(fabric):
    return (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)


def nets_on(fabric, pairs):
    return Nets.of(Connectivity.of(*np.array(pairs).reshape(-1, 2).T, fabric.n_neurons, fabric.n_tiles))


def test_fits_and_overload_by_hand():
    pairs = [(0, 1), (1, 1), (2, 1)]
    tight, wide = (mosaic((1, 2), 3, tile_in={"north": 1, "east": 1, "south": 1, "west": w}) for w in (2, 3))
    good = map_nets(wide, nets_on(wide, pairs), by_index(wide))
    assert (good.verdict, good.violations, good.max_load) == ("fits", (), {"router": 0, "tile_in": 3})
    bad = map_nets(tight, nets_on(tight, pairs), by_index(tight))
    assert bad.verdict == "infeasible"
    (violation,) = bad.violations
    assert (violation.where, violation.port) == ("tile 1 (row 0, column 1), port in west", "in west")
    assert (violation.load, violation.limit) == (3, 2)
    assert bad.summary()["violations"][0]["load"] == 3


def test_memory_of_the_smallest_chip_by_hand():
    fabric = mosaic((1, 2), 3)
    mapping = map_nets(fabric, nets_on(fabric, [(0, 1), (1, 1)]), by_index(fabric))
    # F = 2 channels (west only), c = 0, e = 0, r = 2 * 3: two tiles, no corner device, seven edge routers.
    assert mapping.memory_devices == 2 * (3 * 2 + 9) + 7 * 6**2
    assert mapping.chip_memory_devices == fabric.memory().total
    assert mapping.memory_devices_sized <= mapping.memory_devices


def test_no_branches_and_own_group_use_no_channel():
    fabric = mosaic((1, 2), 3, router=0, tile_in=0)
    assert map_nets(fabric, nets_on(fabric, []), by_index(fabric)).verdict == "fits"
    mapping = map_nets(fabric, nets_on(fabric, [(0, 0), (4, 1)]), by_index(fabric))
    assert mapping.verdict == "fits"
    assert mapping.trees.link.size == 0


def test_placement_moves_whole_groups(draw_nets):
    fabric = mosaic((3, 2), 4)
    nets, placement = draw_nets(fabric, 0.4, 3)
    mapping = map_nets(fabric, nets, placement)
    want = nets.on_tiles(placement)
    assert sum(int((fabric.link_class[mapping.trees.of(i)] == 1).sum()) for i in range(24)) == len(want)


def test_wrong_requests_are_named():
    fabric = mosaic((1, 2), 3)
    nets = nets_on(fabric, [(0, 1)])
    with pytest.raises(UsageError, match="one-turn"):
        map_nets(fabric, nets, by_index(fabric), router="one-trun")
    with pytest.raises(NetsError):
        map_nets(fabric, nets, np.array([0, 1, 0, 1, 0, 1], np.int32))
    with pytest.raises(NetsError):
        map_nets(fabric, nets, np.zeros(4, np.int32))
    with pytest.raises(NetsError):
        map_nets(mosaic((2, 2), 3), nets, np.zeros(12, np.int32))


def test_file_there_and_back(tmp_path, draw_nets):
    fabric = mosaic((2, 3), 4)
    nets, placement = draw_nets(fabric, 0.3, 1)
    nets = Nets(nets.branches, nets.group, np.linspace(0, 1, 24))
    mapping = map_nets(fabric, nets, placement)
    save_mapping(tmp_path / "map.npz", mapping, fabric, nets)
    assert [p.name for p in tmp_path.iterdir()] == ["map.npz"]
    with np.load(tmp_path / "map.npz", allow_pickle=False) as data:
        assert data["port_use"].shape == (5, 7, 8)
        assert data["tree_hops"].shape == (mapping.trees.link.size, 3)
        assert data["placement"].shape == (24,)
    back, same = load_mapping(tmp_path / "map.npz", fabric)
    np.testing.assert_array_equal(back.load, mapping.load)
    np.testing.assert_array_equal(back.placement, placement)
    assert same.branches == nets.branches
    np.testing.assert_array_equal(same.rate, nets.rate)


def test_changed_trees_of_a_file_are_refused(tmp_path, draw_nets):
    fabric = mosaic((2, 3), 4)
    nets, placement = draw_nets(fabric, 0.3, 1)
    save_mapping(tmp_path / "map.npz", map_nets(fabric, nets, placement), fabric, nets)
    with np.load(tmp_path / "map.npz") as data:
        arrays = dict(data)
    arrays["tree_hops"][0, 2] = (arrays["tree_hops"][0, 2] + 1) % 4
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(TilewireError):
        load_mapping(tmp_path / "bad.npz", fabric)


def test_hostile_files_are_refused(tmp_path):
    fabric = mosaic((1, 2), 3)
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "object.npz", placement=np.array([{}], dtype=object))
    np.savez(tmp_path / "part.npz", placement=np.zeros(6, np.int32))
    whole = (tmp_path / "part.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("text", "object", "part", "cut", "absent"):
        with pytest.raises(DataError, match=name):
            load_mapping(tmp_path / f"{name}.npz", fabric)


def test_unwritable_folder_is_named(tmp_path, draw_nets):
    fabric = mosaic((1, 2), 3)
    nets, placement = draw_nets(fabric, 0.5, 0)
    with pytest.raises(DataError, match="absent"):
        save_mapping(tmp_path / "absent" / "map.npz", map_nets(fabric, nets, placement), fabric, nets)


@settings(deadline=None, max_examples=15)
@given(
    st.integers(1, 4), st.integers(2, 4), st.integers(1, 5), st.integers(0, 4), st.integers(0, 9), st.integers(0, 999)
)
def test_every_router_works_on_a_mesh(height, width, size, router, tile_in, seed):
    fabric = mesh((height, width), size, router=router, tile_in=tile_in)
    rng = np.random.default_rng(seed)
    source, group = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < 0.4)
    nets = Nets.of(Connectivity.of(source, group, fabric.n_neurons, fabric.n_tiles))
    fixed, free = (map_nets(fabric, nets, nets.group, router=name) for name in ("one-turn", "negotiated"))
    assert fixed.verdict != "fits" or free.verdict == "fits"
    assert free.verdict != "infeasible" or fixed.verdict == "infeasible"
    for mapping in (fixed, free):
        back = from_hops(fabric, mapping.trees.ptr, hops(fabric, mapping.trees))
        np.testing.assert_array_equal(back.link, mapping.trees.link)
        use = port_use(fabric, mapping.load)
        assert use.shape == (height, width, 10)
        # Everything that enters a router from tile or neighbours: local in = nets that leave, local out = branches.
        assert use[..., 4].sum() == (np.diff(mapping.trees.ptr) > 0).sum()
        assert use[..., 9].sum() == len(nets.on_tiles(nets.group))
    assert explain(fabric, nets, fixed) is None or fixed.violations
