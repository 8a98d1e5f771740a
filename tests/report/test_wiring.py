"""Branch counts by tile, displacement and hop class against counting one by one."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tilewire.report.run_folder import Mapped, read_run
from tilewire.report.wiring import branch_matrix, displacement_map, hop_table, tile_matrix


@pytest.fixture
def mapped(made: Any) -> Mapped:
    found = read_run(made.path).mapped
    assert found is not None
    return found


def test_tile_matrix_counts_each_branch(made: Any, mapped: Mapped) -> None:
    counts = np.zeros((made.fabric.n_tiles, made.fabric.n_tiles), int)
    for neuron, tile in zip(made.nets.branches.source, made.nets.branches.target, strict=True):
        counts[neuron // made.fabric.neurons_per_tile, tile] += 1
    np.testing.assert_array_equal(tile_matrix(made.fabric, mapped), counts)


def test_matrix_and_table_show_the_counts(made: Any, mapped: Mapped) -> None:
    fabric, counts = made.fabric, tile_matrix(made.fabric, mapped)
    shown = re.findall(r"tile (\d+) → tile (\d+)\nhop class\t(\d+)\nbranches\t(\d+)", branch_matrix(fabric, counts))
    assert len(shown) == fabric.n_tiles * (fabric.n_tiles - 1)
    for a, b, hop, branches in ((int(x) for x in row) for row in shown):
        assert (hop, branches) == (fabric.hop_distance[a, b], counts[a, b])
    cells = re.findall(r'<td class="num">([^<]*)</td>', hop_table(fabric, counts, {"1": 0.5}))
    rows = [cells[i : i + 7] for i in range(0, len(cells), 7)]
    assert [int(row[0]) for row in rows] == list(fabric.hop_classes)
    assert [int(row[3]) for row in rows] == [int(counts[fabric.hop_distance == d].sum()) for d in fabric.hop_classes]
    assert rows[0][5] == "50.0 %"


def test_displacement_map_names_the_hop_class_of_each_offset(made: Any, mapped: Mapped) -> None:
    page = displacement_map(made.fabric, tile_matrix(made.fabric, mapped))
    labels = re.findall(r'class="hop [^"]*" text-anchor="middle">([^<]*)<', page)
    assert labels == ["5", "3", "1", "3", "5", "5", "1", "own", "1", "5", "5", "3", "1", "3", "5"]


def test_a_placement_moves_the_branches(made: Any, mapped: Mapped) -> None:
    tiles = made.fabric.n_tiles
    turned = np.roll(np.arange(tiles), 1)
    moved = Mapped(turned[mapped.tile], mapped.trees, mapped.load, mapped.branch_source, turned[mapped.branch_tile])
    counts = tile_matrix(made.fabric, mapped)
    np.testing.assert_array_equal(tile_matrix(made.fabric, moved)[np.ix_(turned, turned)], counts)
