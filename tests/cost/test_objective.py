"""Objectives explain themselves: what they read, what they lack, and a band that holds the value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.cost.objective import Price, objective, values
from tilewire.hardware.technology import Constant, Technology

POWER = Price("power_w", "mW", "minimise", "hops x e / t", lambda n, c: n["hops"] * c["e"] / c["t"], 1e3)


def technology(**bands: tuple[float, float, float]) -> Technology:
    return Technology(
        "test", {name: Constant(name, mid, "energy", "a table", low, high) for name, (low, mid, high) in bands.items()}
    )


def test_value_band_and_what_was_used() -> None:
    found = objective(
        POWER, {"hops": 10, "other": 3}, technology(e=(1.0, 2.0, 4.0), t=(4.0, 5.0, 8.0), unused=(1, 1, 1))
    )
    assert (found.value, found.low, found.high) == pytest.approx((4e3, 1.25e3, 10e3))
    assert found.counts == {"hops": 10}
    assert [constant.name for constant in found.constants] == ["e", "t"]
    assert found.missing == ()
    assert found.source == "hops x e / t; a table"


@pytest.mark.parametrize(
    ("counts", "known", "missing"),
    [
        ({"hops": 1}, technology(e=(1, 1, 1)), ("constant t",)),
        ({"hops": None}, technology(e=(1, 1, 1)), ("count hops", "constant t")),
        ({}, None, ("count hops", "constant e", "constant t")),
    ],
)
def test_what_is_missing_is_named_and_nothing_guessed(
    counts: dict[str, object], known: Technology | None, missing: tuple[str, ...]
) -> None:
    found = objective(POWER, counts, known)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.missing == missing
    assert all(name.split()[1] in found.source for name in missing)
    assert values(POWER, counts, known) is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.1, 10), min_size=6, max_size=6), st.integers(0, 1000))
def test_the_band_is_the_worst_over_the_corners(figures: list[float], hops: int) -> None:
    one, two = sorted(figures[:3]), sorted(figures[3:])
    known = technology(e=tuple(one), t=tuple(two))
    found = objective(POWER, {"hops": hops}, known)
    corners = [1e3 * hops * e / t for e in one[::2] for t in two[::2]]
    assert (found.low, found.high) == pytest.approx((min(corners), max(corners)))


def test_one_law_serves_many_designs() -> None:
    known = technology(e=(1, 2, 3), t=(4, 5, 6))
    hops = np.array([1.0, 7.0, 0.0])
    many = values(POWER, {"hops": hops}, known)
    singles = [objective(POWER, {"hops": float(n)}, known).value for n in hops]
    assert many is not None
    assert many.tolist() == pytest.approx(singles)


def test_summary_is_plain() -> None:
    found = objective(POWER, {"hops": 10}, technology(e=(1, 2, 4), t=(4, 5, 8))).summary()
    assert found["source"].startswith("hops x e / t")
    assert found["constants"][0]["source"] == "a table"
