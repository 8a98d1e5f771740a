import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import ConfigError, HardwareError
from tilewire.hardware.description import from_mapping, load_hardware
from tilewire.hardware.fabric import LOCAL, PORTS, check_fabric
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic

GRIDS = st.tuples(st.integers(1, 5), st.integers(1, 5))


def walk(fabric, source, target):
    """Nodes of the fixed path, link by link."""
    ports, lengths = fabric.fixed_path(fabric, np.array([source], np.int32), np.array([target], np.int32))
    node = int(fabric.tile_node[source])
    nodes = [node]
    for port, length in zip(ports[0], lengths[0], strict=True):
        for _ in range(length):
            link = fabric.link_at[node, port]
            assert link >= 0
            node = int(fabric.link_target[link])
            nodes.append(node)
    return nodes


@settings(deadline=None, max_examples=25)
@given(GRIDS)
def test_hop_class_is_manhattan_plus_one(grid):
    fabric = mesh(grid, 4)
    check_fabric(fabric)
    row, column = np.divmod(np.arange(fabric.n_tiles), grid[1])
    manhattan = np.abs(row[:, None] - row) + np.abs(column[:, None] - column)
    assert np.array_equal(fabric.hop_distance, np.where(manhattan == 0, 0, manhattan + 1))


@settings(deadline=None, max_examples=25)
@given(GRIDS, st.data())
def test_fixed_path_goes_x_then_y_and_is_shortest(grid, data):
    fabric = mesh(grid, 2)
    tiles = st.integers(0, fabric.n_tiles - 1)
    source, target = data.draw(tiles), data.draw(tiles)
    if source == target:
        return
    nodes = walk(fabric, source, target)
    assert nodes[-1] == fabric.tile_node[target]
    routers = nodes[1:-1]
    assert len(routers) == fabric.hop_distance[source, target]
    assert (fabric.kind[routers] == 1).all()
    corner = int(fabric.row[nodes[0]]), int(fabric.column[nodes[-1]])
    assert corner in [(int(fabric.row[node]), int(fabric.column[node])) for node in routers]


def test_every_link_has_its_twin_and_one_wire_per_port():
    fabric = mesh((3, 4), 8, router={"north": 1, "east": 2, "south": 3, "west": 4}, tile_in=5, tile_out=6)
    assert fabric.n_links == 2 * 12 + 2 * (2 * 4 + 3 * 3)
    pairs = set(zip(fabric.link_source.tolist(), fabric.link_target.tolist(), strict=True))
    assert len(pairs) == fabric.n_links
    assert all((b, a) in pairs for a, b in pairs)
    width = {PORTS[p]: set(fabric.capacity[fabric.link_port == p].tolist()) for p in range(4)}
    # A wire north runs from an out port north (1) into an in port south (3): the smaller end counts.
    assert width == {"north": {1}, "east": {2}, "south": {1}, "west": {2}}
    assert set(fabric.capacity[fabric.link_class == 1].tolist()) == {5}
    assert set(fabric.capacity[fabric.link_class == 2].tolist()) == {6}


def test_memory_by_hand():
    fabric = mesh((2, 2), 3, router=2, tile_in=5, tile_out=4)
    tiles = 4 * (3 * 5 + 9)
    # Homogeneous: every router has four sides of 2, in 4 from and out 5 into its tile. A corner of a 2 x 2 grid has two sides.
    assert fabric.memory().by_kind == {"tile": tiles, "router": 4 * (4 * 2 + 4) * (4 * 2 + 5)}
    assert fabric.memory(sized=True).by_kind == {"tile": tiles, "router": 4 * (2 * 2 + 4) * (2 * 2 + 5)}


def test_description_file_builds_the_same_chip():
    document = {
        "family": "mesh", "grid": [2, 3], "neurons_per_tile": 4, "channels": {"router": 7, "tile_in": 9, "tile_out": 2},
    }  # fmt: skip
    built, direct = from_mapping(document), mesh((2, 3), 4, router=7, tile_in=9, tile_out=2)
    assert np.array_equal(built.port_width, direct.port_width)
    assert load_hardware("mesh-4x4").n_tiles == 16


def test_all_faults_of_a_description_at_once():
    document = {
        "family": "mesh", "grid": [0, 3], "neurons_per_tile": 4, "channels": {"router": -1, "tile_inn": 9},
    }  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        from_mapping(document)
    text = str(caught.value)
    assert all(word in text for word in ("grid", "router", "tile_inn", "tile_in'"))


def test_blocked_ports_of_both_families():
    fabric = from_mapping({
        "family": "mesh", "grid": [2, 2], "neurons_per_tile": 4, "channels": {"router": 4},
        "blocked": [{"router": [0, 0], "port": "east"}, {"tile": [1, 1], "port": "local"}],
    })  # fmt: skip
    shut = {(int(fabric.link_source[k]), int(fabric.link_target[k])) for k in np.flatnonzero(fabric.capacity == 0)}
    assert shut == {(4, 5), (5, 4), (3, 7), (7, 3)}
    chip = from_mapping({
        "family": "mosaic", "grid": [2, 2], "neurons_per_tile": 4, "channels": {"router": 4, "tile_in": 4},
        "blocked": [{"tile": [0, 1], "port": "north"}, {"router": [2, 2], "port": "west"}],
    })  # fmt: skip
    assert int((chip.capacity == 0).sum()) == 4
    assert np.array_equal(chip.hop_distance, mosaic((2, 2), 4).hop_distance)


def test_blocked_ports_that_do_not_exist_are_named_together():
    document = {
        "family": "mesh", "grid": [2, 2], "neurons_per_tile": 4, "channels": {"router": 4},
        "blocked": [{"router": [5, 0], "port": "east"}, {"router": [0, 0], "port": "north"}, {"tile": [0, 0], "port": "west"}],
    }  # fmt: skip
    with pytest.raises(HardwareError) as caught:
        from_mapping(document)
    text = str(caught.value)
    assert "no router at [5, 0]" in text
    assert "router at [0, 0] has no port north" in text
    assert "tile at [0, 0] has no port west" in text
    with pytest.raises(ConfigError, match="either a tile or a router"):
        from_mapping(document | {"blocked": [{"port": "east"}]})


def test_local_port_carries_the_tile():
    fabric = mesh((1, 1), 4, tile_in=3)
    assert fabric.port_width[0, 0, LOCAL] == fabric.port_width[1, 1, LOCAL] == 3
    assert fabric.hop_classes == {}
