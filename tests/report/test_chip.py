"""The chip map: where units stand, which ports count as tightest, for every family."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.connectivity import Connectivity
from tilewire.hardware.fabric import TileFabric
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.trees import loads
from tilewire.report.chip import chip_map, layout
from tilewire.report.loads import colour, load_histogram, order_of_pressure, worst_ports
from tilewire.report.run_folder import Mapped

CHIPS = [mosaic((2, 3), 4, router=3, tile_in=4), mosaic((3, 1), 2, router=0, tile_in=2), mesh((3, 2), 3, router=2)]


def routed(fabric: TileFabric, seed: int = 0) -> Mapped:
    rng = np.random.default_rng(seed)
    source, tile = np.nonzero(rng.random((fabric.n_neurons, fabric.n_tiles)) < 0.5)
    placement = (np.arange(fabric.n_neurons) // fabric.neurons_per_tile).astype(np.int32)
    trees = route_one_turn(fabric, Connectivity.of(source, tile, fabric.n_neurons, fabric.n_tiles), placement)
    return Mapped(placement, trees, loads(fabric, trees), source, tile)


@pytest.mark.parametrize("fabric", CHIPS, ids=lambda f: f"{f.family}-{f.grid}")
def test_units_lie_inside_and_apart(fabric: TileFabric) -> None:
    drawn = layout(fabric)
    assert (drawn.x - drawn.half >= 0).all()
    assert (drawn.y - drawn.half >= 0).all()
    assert (drawn.x + drawn.half <= drawn.width).all()
    assert (drawn.y + drawn.half <= drawn.height).all()
    gap = (
        np.maximum(np.abs(drawn.x[:, None] - drawn.x), np.abs(drawn.y[:, None] - drawn.y))
        - drawn.half[:, None]
        - drawn.half
    )
    assert (gap[~np.eye(fabric.n_nodes, dtype=bool)] > 2).all()


@pytest.mark.parametrize("fabric", CHIPS, ids=lambda f: f"{f.family}-{f.grid}")
def test_the_map_colours_every_link_by_load_and_capacity(fabric: TileFabric) -> None:
    mapped = routed(fabric)
    page = chip_map(fabric, mapped, {})
    drawn = {int(number): shade for number, shade in re.findall(r'id="link-(\d+)" class="link (\w+)', page)}
    expected = {
        i: colour(load, capacity)
        for i, (load, capacity) in enumerate(zip(mapped.load.tolist(), fabric.capacity.tolist(), strict=True))
    }
    assert drawn == expected
    assert page.count("data-tile=") == fabric.n_tiles


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2), st.integers(0, 2**32 - 1))
def test_order_of_pressure_against_sorting_by_hand(which: int, seed: int) -> None:
    fabric = CHIPS[which]
    load = np.random.default_rng(seed).integers(0, 6, fabric.n_links)

    def key(i: int) -> tuple[float, float, float]:
        capacity = int(fabric.capacity[i])
        return (-max(load[i] - capacity, 0), -load[i] / max(capacity, 1), -load[i])

    bound = [
        i for i in range(fabric.n_links)
        if load[i] > 0 and not (fabric.link_class[i] == 2 and fabric.capacity[i] >= fabric.neurons_per_tile)
    ]  # fmt: skip
    assert order_of_pressure(fabric, load).tolist() == sorted(bound, key=key)


def test_histogram_counts_every_link_with_channels_or_nets() -> None:
    fabric = CHIPS[0]
    load = np.random.default_rng(1).integers(0, 6, fabric.n_links)
    counted = sum(int(n) for n in re.findall(r"\t(\d+) links", load_histogram(fabric, load)))
    assert counted == int(((fabric.capacity > 0) | (load > 0)).sum())


def test_worst_ports_without_any_load() -> None:
    fabric = CHIPS[0]
    assert "none of 0 used ports" in worst_ports(fabric, np.zeros(fabric.n_links, np.int32))
