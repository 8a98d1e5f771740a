import numpy as np
import pytest
from beartype import beartype
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Int32, jaxtyped

from tilewire.errors import ConfigError, HardwareError
from tilewire.hardware.description import from_mapping, load_hardware
from tilewire.hardware.fabric import OPPOSITE, PORTS
from tilewire.hardware.mosaic import mosaic

SIDES = PORTS[:4]
GRIDS = st.tuples(st.integers(1, 5), st.integers(1, 5))
WIDTH = st.one_of(st.integers(0, 70), st.fixed_dictionaries({side: st.integers(0, 70) for side in SIDES}))
CHANNELS = st.fixed_dictionaries(
    {"router": WIDTH, "tile_in": WIDTH}, optional={"tile_out": WIDTH, "corner": WIDTH, "edge": WIDTH}
)


def per_side(width):
    return width if isinstance(width, dict) else dict.fromkeys(SIDES, width)


def widest(width):
    return max(per_side(width).values())


def published_memory(grid, s, channels):
    """M of the routing-aware paper's sizing notebook, from the widths as a person reads them."""
    height, width = grid
    corner, edge = channels.get("corner", channels["router"]), channels.get("edge", channels["router"])
    f = sum(per_side(channels["tile_in"]).values())
    r = max(
        2 * widest(channels.get("tile_out", s)) + 2 * widest(edge), 2 * widest(channels["tile_in"]) + 2 * widest(edge)
    )
    corners = (height + 1) * (width + 1)
    edges = height * (width + 1) + (height + 1) * width
    return height * width * (s * f + s * s) + corners * (4 * widest(corner)) ** 2 + edges * r**2


@pytest.mark.parametrize(
    ("router", "tile_in", "devices"),
    [
        (0, (32, 32, 32, 32), 373_760),
        (9, (32, 43, 32, 39), 838_016),
        (16, (32, 48, 32, 48), 1_284_096),
    ],
)
def test_published_memory(router, tile_in, devices):
    assert mosaic((5, 5), 32, router=router, tile_in=dict(zip(SIDES, tile_in, strict=True))).memory().total == devices


@pytest.mark.parametrize(
    ("name", "devices"), [("neighbours", 373_760), ("optimized", 838_016), ("proposed", 1_284_096)]
)
def test_presets_hold_the_published_memory(name, devices):
    assert load_hardware(f"mosaic-5x5-{name}").memory().total == devices


@settings(deadline=None, max_examples=60)
@given(GRIDS, st.integers(1, 40), CHANNELS)
def test_memory_on_any_grid_and_widths(grid, s, channels):
    fabric = mosaic(grid, s, **channels)
    memory = fabric.memory()
    assert memory.total == published_memory(grid, s, channels)
    sized = fabric.memory(sized=True)
    assert sized.by_kind["tile"] == memory.by_kind["tile"]
    assert sized.total <= memory.total


@jaxtyped(typechecker=beartype)
def widths(width: Int32[np.ndarray, "nodes 2 5"]) -> Int32[np.ndarray, "nodes 2 5"]:
    return width


@settings(deadline=None, max_examples=40)
@given(GRIDS, st.integers(1, 9), CHANNELS)
def test_every_port_has_the_width_of_its_unit(grid, s, channels):
    fabric = mosaic(grid, s, **channels)
    width = widths(fabric.port_width)
    of_kind = {
        "corner": per_side(channels.get("corner", channels["router"])),
        "edge": per_side(channels.get("edge", channels["router"])),
    }
    tile_in, tile_out = per_side(channels["tile_in"]), per_side(channels.get("tile_out", s))
    assert fabric.n_links == 4 * (2 * grid[0] * (2 * grid[1] + 1) + 2 * grid[1] * (2 * grid[0] + 1)) // 2
    for link in range(fabric.n_links):
        a, b, port = int(fabric.link_source[link]), int(fabric.link_target[link]), int(fabric.link_port[link])
        side, facing = PORTS[port], PORTS[OPPOSITE[port]]
        kinds = fabric.kinds[fabric.kind[a]], fabric.kinds[fabric.kind[b]]
        if kinds[0] == "tile":
            assert fabric.capacity[link] == tile_out[side]
        elif kinds[1] == "tile":
            assert fabric.capacity[link] == tile_in[facing]
        else:
            assert width[a, 1, port] == of_kind[kinds[0]][side]
            assert width[b, 0, OPPOSITE[port]] == of_kind[kinds[1]][facing]
            assert fabric.capacity[link] == min(of_kind[kinds[0]][side], of_kind[kinds[1]][facing])


@settings(deadline=None, max_examples=30)
@given(GRIDS, st.integers(1, 9), CHANNELS)
def test_description_builds_the_same_chip(grid, s, channels):
    document = {"family": "mosaic", "grid": list(grid), "neurons_per_tile": s, "channels": channels}
    if grid != (1, 1) and not any(per_side(channels["tile_in"]).values()):
        with pytest.raises(HardwareError, match="no tile can be entered"):
            from_mapping(document)
        return
    assert np.array_equal(from_mapping(document).port_width, mosaic(grid, s, **channels).port_width)


@settings(deadline=None, max_examples=40)
@given(GRIDS, st.data())
def test_fixed_path_reaches_its_target_over_the_published_number_of_turns(grid, data):
    fabric = mosaic(grid, 2)
    tiles = st.integers(0, fabric.n_tiles - 1)
    source, target = data.draw(tiles), data.draw(tiles)
    if source == target:
        return
    ports, lengths = fabric.fixed_path(fabric, np.array([source], np.int32), np.array([target], np.int32))
    node, routers = int(fabric.tile_node[source]), 0
    for port, length in zip(ports[0], lengths[0], strict=True):
        for _ in range(length):
            link = fabric.link_at[node, port]
            assert link >= 0
            node = int(fabric.link_target[link])
            routers += fabric.tile_index[node] < 0
    assert node == fabric.tile_node[target]
    assert routers >= fabric.hop_distance[source, target]
    assert (lengths >= 0).all()


def test_negative_widths_and_endless_grids_are_refused():
    document = {
        "family": "mosaic", "grid": [300, 300], "neurons_per_tile": 0,
        "channels": {"router": -1, "tile_in": {"north": 1, "east": -2, "south": 1, "west": 1}},
    }  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        from_mapping(document, "chip")
    assert {fault.key for fault in caught.value.faults} == {
        "grid", "neurons_per_tile", "channels.router", "channels.tile_in.east",
    }  # fmt: skip
    assert "16384 tiles" in str(caught.value)
