"""From a chip to a profile: scales, nested networks, what the sampled and the closed form promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import BudgetError, UsageError
from tilewire.hardware.mesh import mesh
from tilewire.hardware.mosaic import mosaic
from tilewire.mapping.admissible_profile import _Nested, admissible_profile, along, closed_form, monte_carlo
from tilewire.mapping.budget import HopProfile
from tilewire.mapping.budgets import build_budget
from tilewire.mapping.one_turn import route_one_turn
from tilewire.mapping.placement import by_index
from tilewire.mapping.profile_sizing import draw_branches
from tilewire.mapping.trees import loads

CHIPS = {
    "mosaic": (
        mosaic((4, 5), 16, router=8, tile_in={"north": 16, "east": 20, "south": 16, "west": 22}),
        {1: 1.0, 3: 0.2},
    ),
    "mesh": (mesh((3, 4), 12, router=20, tile_in=24), {2: 1.0, 3: 0.5, 5: 0.1}),
}


def share_that_fits(fabric, profile, networks, seed):
    placement, fits = by_index(fabric.n_neurons, fabric), 0
    for k in range(networks):
        branches = draw_branches(fabric, profile, np.random.default_rng([seed, k]))
        fits += bool((loads(fabric, route_one_turn(fabric, branches, placement)) <= fabric.capacity).all())
    return fits / networks


@settings(deadline=None, max_examples=25)
@given(st.tuples(st.integers(1, 4), st.integers(2, 4)), st.integers(1, 6), st.integers(0, 1 << 30), st.booleans())
def test_nested_networks_only_grow_and_meet_every_quota(grid, size, seed, nearest):
    fabric = mosaic(grid, size)
    rng = np.random.default_rng(seed)
    direction = "nearest" if nearest else {d: float(rng.uniform(0.1, 1)) for d in fabric.hop_classes}
    profile_at, most = along(fabric, direction)
    network, before = _Nested(fabric, list(fabric.hop_classes), rng), set()
    for x in np.sort(rng.uniform(0, most, 5)):
        profile = profile_at(float(x))
        branches = network.branches(profile)
        now = set(zip(branches.source.tolist(), branches.target.tolist(), strict=True))
        assert before <= now
        state = HopProfile.of(fabric, profile, network.placement).start(branches)
        assert np.array_equal(state.use, state.capacity)
        before = now


@pytest.mark.parametrize("family", sorted(CHIPS))
def test_a_fresh_network_fits_as_often_as_promised(family):
    fabric, direction = CHIPS[family]
    found = monte_carlo(fabric, direction, 0.8, networks=30, rng=np.random.default_rng(1))
    assert (found.method, found.networks, found.confidence) == ("monte-carlo", 30, 0.95)
    assert 0 < found.scale < 1 / min(direction.values())
    # at least 80 % with confidence 95 %; 150 fresh networks have a standard error of 3.3 points
    assert share_that_fits(fabric, found.profile, 150, 7) >= 0.8 - 0.07
    assert share_that_fits(fabric, along(fabric, direction)[0](1.3 * found.scale), 60, 8) < 0.8


@pytest.mark.parametrize("family", sorted(CHIPS))
@pytest.mark.parametrize("direction", ["weights", "nearest"])
def test_the_closed_form_is_about_right(family, direction):
    """Its normal law is no promise: within 8 points of the probability asked for, and it knows where that is lost."""
    fabric, weights = CHIPS[family]
    towards = weights if direction == "weights" else "nearest"
    form = closed_form(fabric, towards, 0.85)
    assert (form.method, form.networks, form.confidence) == ("closed-form", None, None)
    assert share_that_fits(fabric, form.profile, 150, 3) >= 0.85 - 0.08
    assert share_that_fits(fabric, along(fabric, towards)[0](1.2 * form.scale), 60, 4) < 0.85


def test_wider_chips_admit_more_and_certainty_costs():
    scales = [
        closed_form(mosaic((4, 4), 16, router=width, tile_in=20), {1: 1, 3: 0.5}, 0.95).scale for width in (2, 4, 8, 16)
    ]
    assert scales == sorted(scales)
    assert scales[0] < scales[-1]
    chip = mosaic((4, 4), 16, router=6, tile_in=20)
    by_chance = [closed_form(chip, {1: 1, 3: 0.5}, p).scale for p in (0.5, 0.9, 0.999)]
    assert by_chance == sorted(by_chance, reverse=True)


def test_everything_fits_and_nothing_fits():
    wide = mosaic((2, 3), 4, router=100, tile_in=100)
    assert closed_form(wide, "nearest", 0.95).profile == dict.fromkeys(wide.hop_classes, 1.0)
    assert monte_carlo(wide, "nearest", 0.5, networks=10, rng=np.random.default_rng(0)).profile == dict.fromkeys(
        wide.hop_classes, 1.0
    )
    closed = mosaic((2, 3), 4, router=0, tile_in=0)
    assert sum(closed_form(closed, "nearest", 0.95).profile.values()) == pytest.approx(0.0, abs=0.13)
    quota = HopProfile.of(closed, closed_form(closed, "nearest", 0.95).profile, by_index(24, closed))
    assert quota.branches() == 0


def test_negotiated_routing_admits_more_than_fixed_paths():
    fabric, direction = mosaic((2, 3), 4, router=2, tile_in=4), {1: 1, 3: 0.5}
    scales = [
        admissible_profile(fabric, direction, 0.5, router=router, networks=6, rng=np.random.default_rng(3)).scale
        for router in ("one-turn", "negotiated")
    ]
    assert scales[1] >= scales[0]


def test_recipes_derive_their_profile():
    fabric, direction = CHIPS["mosaic"]
    tile_of = by_index(fabric.n_neurons, fabric)
    options = {"from_hardware": {"confidence": 0.9, "direction": direction, "method": "closed-form"}}
    budget = build_budget("hop-profile", fabric, tile_of, options)
    assert budget.profile == closed_form(fabric, direction, 0.9).profile
    with pytest.raises(BudgetError, match="given and derived"):
        build_budget("hop-profile", fabric, tile_of, options | {"profile": {1: 1.0}})


def test_what_cannot_be_asked():
    fabric, rng = CHIPS["mosaic"][0], np.random.default_rng(0)
    with pytest.raises(BudgetError, match="at least 59"):
        monte_carlo(fabric, "nearest", 0.95, networks=58, rng=rng)
    for direction in ({2: 1.0}, {}, {1: 0.0}, {1: -1.0}, "farthest"):
        with pytest.raises(BudgetError):
            along(fabric, direction)
    with pytest.raises(UsageError, match="fixed paths only"):
        admissible_profile(fabric, "nearest", method="closed-form", router="negotiated", rng=rng)
    with pytest.raises(UsageError, match="unknown method"):
        admissible_profile(fabric, "nearest", method="guess", rng=rng)
    with pytest.raises(UsageError, match="unknown router"):
        monte_carlo(fabric, "nearest", 0.95, networks=60, router="two-turn", rng=rng)
