import numpy as np
import pytest
from beartype import beartype
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Int32, jaxtyped

from tilewire.hardware.fabric import TILE, TileFabric
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic

GRIDS = st.tuples(st.integers(1, 6), st.integers(1, 6))

# Counted with the public code of the routing-aware paper (Weber, Ballet, Payvand 2024; repository EIS-Hub/routing-aware_training).
HOPS_5X5 = {1: 80, 3: 64, 5: 156, 7: 140, 9: 100, 11: 40, 13: 16, 15: 4}


def routers_on_the_way(fabric: TileFabric, start: int) -> list[int]:
    """Routers between one tile and every other: a wave over plain lists, stopped by tiles."""
    neighbours: dict[int, list[int]] = {node: [] for node in range(fabric.n_nodes)}
    for a, b in zip(fabric.link_source.tolist(), fabric.link_target.tolist(), strict=True):
        neighbours[a].append(b)
    routers = {int(fabric.tile_node[start]): 0}
    found = [-1] * fabric.n_tiles
    found[start] = 0
    wave = [int(fabric.tile_node[start])]
    while wave:
        following = []
        for node in wave:
            for other in neighbours[node]:
                if fabric.kind[other] == TILE:
                    tile = fabric.tile_node.tolist().index(other)
                    if found[tile] < 0:
                        found[tile] = routers[node]
                elif other not in routers:
                    routers[other] = routers[node] + 1
                    following.append(other)
        wave = following
    return found


@jaxtyped(typechecker=beartype)
def table(distance: Int32[np.ndarray, "tiles tiles"]) -> Int32[np.ndarray, "tiles tiles"]:
    return distance


@settings(deadline=None, max_examples=25)
@given(GRIDS, st.sampled_from([mosaic, mesh]), st.data())
def test_equals_a_wave_over_plain_lists(grid, family, data):
    fabric = family(grid, 3)
    start = data.draw(st.integers(0, fabric.n_tiles - 1))
    assert table(fabric.hop_distance)[start].tolist() == routers_on_the_way(fabric, start)


@settings(deadline=None, max_examples=40)
@given(GRIDS)
def test_mosaic_classes_follow_the_published_geometry(grid):
    """Manhattan m: 1 between neighbours, 2m + 1 along a row or column, else 2m - 1."""
    row, column = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    down, right = np.abs(row[:, None] - row), np.abs(column[:, None] - column)
    m = down + right
    straight = (down == 0) | (right == 0)
    expected = np.where(m < 2, m, np.where(straight, 2 * m + 1, 2 * m - 1))
    assert np.array_equal(mosaic(grid, 1).hop_distance, expected)


def test_published_counts():
    assert mosaic((5, 5), 32).hop_classes == HOPS_5X5
    eight = mosaic((8, 8), 32).hop_classes
    assert {d: eight[d] for d in (1, 3, 5)} == {1: 224, 3: 196, 5: 528}
    assert max(eight) == 27
    assert sum(eight.values()) == 64 * 63


def test_corner_to_corner_is_a_class_like_any_other():
    fabric = mosaic((3, 4), 2)
    assert fabric.hop_distance[0, 11] == max(fabric.hop_classes)


@pytest.mark.parametrize("family", [mosaic, mesh])
def test_width_zero_is_still_a_wire(family):
    assert family((2, 3), 4, router=0).hop_classes == family((2, 3), 4).hop_classes
