"""Figures as text and round ticks."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.report.scale import MISSING, SHADES, number, percent, prefixed, shade, shown, ticks


@pytest.mark.parametrize(
    ("value", "text"),
    [(838016, "838,016"), (0, "0"), (-4, "−4"), (0.123456, "0.1235"), (3.2e-12, "3.200e−12"), (1234.5, "1,234"), (2.0, "2"),
     (None, MISSING), (math.nan, MISSING), (True, MISSING), ("7", MISSING)],
)  # fmt: skip
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_percent() -> None:
    assert percent(0.9125) == "91.2 %"
    assert percent(1, 0) == "100 %"
    assert percent("x") == MISSING
    assert number(math.inf) is None


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 1), st.floats(0, 1))
def test_shade_ascends_and_spares_zero_for_nothing(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert shade(low) <= shade(high) <= SHADES
    assert (shade(a) == 0) == (a == 0)


@settings(deadline=None, max_examples=200)
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.booleans())
def test_ticks_cover_the_range_in_even_steps(low: float, span: float, whole: bool) -> None:
    marks = ticks(low, low + span, whole=whole)
    slack = 1e-6 * max(abs(low), span, 1.0)
    assert 2 <= len(marks) <= 8
    assert marks[0] <= low + slack
    assert marks[-1] >= low + span - slack
    assert all(b > a for a, b in itertools.pairwise(marks))
    assert not whole or all(mark == int(mark) for mark in marks)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.619e-4, "361.9 µs"), (0, "0 s"), (1e-3, "1 ms"), (0.9999, "999.9 ms"), (12.5, "12.5 s"), (2.5e-15, "2.5 fs"),
        (4.2e-18, "0.0042 fs"), (-2e-9, "−2 ns"), (None, "–"), (float("nan"), "–"),
    ],
)  # fmt: skip
def test_figures_with_a_prefix(value, text):
    assert prefixed(value, "s") == text
