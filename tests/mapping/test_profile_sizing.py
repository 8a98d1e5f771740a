"""Random networks of a profile: quotas met exactly, published sizes, widths that hold on fresh networks."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import BudgetError
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.nets import Nets
from tilewire.mapping.placement import by_index
from tilewire.mapping.profile_sizing import covered, draw_branches, profile_sizes, quantile_widths
from tilewire.mapping.routing import map_nets

TABLE = Path(__file__).parents[1] / "oracle" / "router_sizes_5x5.csv"


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(2, 5), st.integers(1, 6), st.floats(0, 1), st.integers(0, 1000))
def test_drawn_networks_meet_the_profile_exactly(height, width, size, density, seed):
    fabric = mosaic((height, width), size)
    profile = {d: density / (1 + i) for i, d in enumerate(fabric.hop_classes)}
    branches = draw_branches(fabric, profile, np.random.default_rng(seed))
    source = branches.source // size
    for tile in range(fabric.n_tiles):
        for d, p in profile.items():
            reach = int((fabric.hop_distance[tile] == d).sum())
            used = int((fabric.hop_distance[tile, branches.target[source == tile]] == d).sum())
            assert used == round(p * size * reach)


def test_a_profile_that_the_chip_lacks_is_an_error():
    with pytest.raises(BudgetError, match="2"):
        draw_branches(mosaic((3, 3), 4), {2: 0.5}, np.random.default_rng(0))


@pytest.mark.parametrize("row", [0, 7, 9, 12])
def test_published_sizes(row):
    """F, c, r within 5 % or one channel; M within three standard errors of the published mean (or its 0.1 %)."""
    with TABLE.open() as file:
        want = {key: float(value) for key, value in list(csv.DictReader(file))[row].items()}
    profile = {1: want["p1"], 3: want["p3"]}
    sizes = profile_sizes(mosaic((5, 5), 32), profile, 100, np.random.default_rng(row))
    for found, name in ((sizes.tile_lines, "F_mean"), (sizes.router, "c_mean"), (sizes.crossbar["edge"], "r_mean")):
        assert abs(found.mean() - want[name]) <= max(0.05 * want[name], 1), name
    assert abs(sizes.memory_devices.mean() - want["M_mean"]) <= max(3 * want["M_sd"] / 10**0.5, 1e-3 * want["M_mean"])


def test_sizes_carry_their_networks():
    fabric = mosaic((3, 4), 6)
    sizes = profile_sizes(fabric, {1: 0.7, 3: 0.3}, 8, np.random.default_rng(2))
    again = np.random.default_rng(2)
    for i in range(8):
        nets = Nets.of(draw_branches(fabric, {1: 0.7, 3: 0.3}, again))
        tile_in = dict(zip(sizes.sides, sizes.tile_in[i].tolist(), strict=True))
        chip = mosaic((3, 4), 6, router=int(sizes.router[i]), tile_in=tile_in)
        mapping = map_nets(chip, nets, by_index(chip.n_neurons, chip))
        assert mapping.verdict == "fits"
        assert mapping.memory_devices == sizes.memory_devices[i] == chip.memory().total


def test_quantile_widths_hold_jointly_on_fresh_networks():
    fabric, profile = mosaic((3, 4), 8), {1: 0.8, 3: 0.3}
    widths = quantile_widths(fabric, profile, 0.9, 150, np.random.default_rng(3))
    fresh = profile_sizes(fabric, profile, 400, np.random.default_rng(4))
    limit = np.array([widths.router, *widths.tile_in.values()])
    fits = (np.column_stack([fresh.router, fresh.tile_in]) <= limit).all(axis=1).mean()
    assert fits >= 0.9 - 2 * np.sqrt(0.9 * 0.1 / 400)
    assert widths.memory_devices == mosaic((3, 4), 8, router=widths.router, tile_in=widths.tile_in).memory().total
    less = quantile_widths(fabric, profile, 0.5, 150, np.random.default_rng(3))
    assert np.median(fresh.memory_devices) <= less.memory_devices < widths.memory_devices


def test_too_few_networks_for_a_probability_are_refused():
    assert covered(59, 0.95) == 59
    with pytest.raises(BudgetError, match="at least 59"):
        covered(58, 0.95)
    with pytest.raises(BudgetError):
        covered(100, 1.0)
