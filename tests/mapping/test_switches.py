"""Switches: Benes settings carry every partial permutation, butterfly and mesh block exactly where a plain walk says so."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.mapping.switches import benes_bits, benes_end, benes_settings, butterfly_position, mesh_path

Words = tuple[int, np.ndarray, np.ndarray]


@st.composite
def words(draw: st.DrawFn, most: int = 6) -> Words:
    ports = 1 << draw(st.integers(0, most))
    count = draw(st.integers(0, ports))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return ports, rng.permutation(ports)[:count], rng.permutation(ports)[:count]


def crossing(ports: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    levels = max(2 * (ports - 1).bit_length() - 1, 0)
    crossed = np.zeros((levels, ports), bool)
    benes_settings(start, end, ports, crossed)
    return crossed


@given(words())
@settings(deadline=None, max_examples=60)
def test_benes_carries_every_partial_permutation(case: Words) -> None:
    ports, start, end = case
    crossed = crossing(ports, start, end)
    assert [benes_end(int(s), ports, crossed) for s in start] == end.tolist()


def test_benes_needs_its_settings() -> None:
    rng = np.random.default_rng(0)
    start, end = np.arange(16), rng.permutation(16)
    crossed = crossing(16, start, end)
    level, port = np.argwhere(crossed)[0]
    crossed[level, port] = False
    assert [benes_end(int(s), 16, crossed) for s in start] != end.tolist()
    assert crossed.shape[0] * 8 == benes_bits(16) == 8 * 7


def test_every_permutation_of_four_ports() -> None:
    for end in permutations(range(4)):
        crossed = crossing(4, np.arange(4), np.array(end))
        assert tuple(benes_end(s, 4, crossed) for s in range(4)) == end


def test_butterfly_is_a_path_through_its_cells() -> None:
    for start in range(16):
        for end in range(16):
            ports = [butterfly_position(start, end, level, 4) for level in range(5)]
            assert (ports[0], ports[-1]) == (start, end)
            for level, (before, after) in enumerate(pairwise(ports)):
                assert before ^ after in (0, 1 << (3 - level)), "a cell exchanges ports that differ in one bit"


@pytest.mark.parametrize(("rows", "columns"), [(1, 7), (3, 4), (4, 4)])
def test_mesh_paths_go_along_rows_then_columns(rows: int, columns: int) -> None:
    link = np.empty(2 * rows * columns, np.int64)
    move = {0: 1, 1: -1, 2: columns, 3: -columns}
    for start in range(rows * columns):
        for end in range(rows * columns):
            hops = mesh_path(start, end, columns, link)
            node, directions = start, []
            for one in link[:hops]:
                assert one // 4 == node
                directions.append(one % 4 // 2)
                node += move[one % 4]
            assert node == end
            assert directions == sorted(directions)
            assert hops == abs(start // columns - end // columns) + abs(start % columns - end % columns)
