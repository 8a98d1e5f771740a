import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewire.errors import UsageError
from tilewire.units import PREFIXES, UNITS, parse


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("3.2 pJ", "energy", 3.2e-12),
        ("10 ms", "time", 0.01),
        ("10ms", "time", 0.01),
        ("  1e3 MHz ", "frequency", 1e9),
        ("-.5 mV", "voltage", -5e-4),
        ("2 \u00b5s", "time", 2e-6),
        ("2 \u03bcs", "time", 2e-6),
        ("1 um2", "area", 1e-12),
        ("1 mm\u00b2", "area", 1e-6),
        ("3 m", "length", 3.0),
        ("3 mm", "length", 3e-3),
        ("2 kB", "memory", 16_000.0),
        ("1 Mb", "memory", 1e6),
        ("7 nS", "conductance", 7e-9),
        ("7 ns", "time", 7e-9),
        ("42", "number", 42.0),
        (0.5, "number", 0.5),
    ],
)
def test_known_quantities(text, dimension, value):
    assert parse(text, dimension) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "dimension", "says"),
    [
        ("3.2", "energy", "no unit"),
        ("3.2 parsec", "energy", "not a unit"),
        ("3.2 ppJ", "energy", "not a unit"),
        ("3.2 s", "energy", "is of time, wanted energy"),
        ("3 s2", "time", "not a unit"),
        ("3 J", "number", "bare number"),
        ("1e999 J", "energy", "not finite"),
        ("1e308 GJ", "energy", "not finite in SI"),
        ("nan J", "energy", "not a quantity"),
        ("", "energy", "not a quantity"),
        ("J", "energy", "not a quantity"),
        ("1,5 J", "energy", "not a unit"),
        ("1 J J", "energy", "not a unit"),
        (True, "number", "not a quantity"),
        (math.inf, "number", "not a quantity"),
    ],
)
def test_wrong_quantities(text, dimension, says):
    with pytest.raises(UsageError, match=says):
        parse(text, dimension)


@given(st.floats(-1e6, 1e6), st.sampled_from(sorted(PREFIXES)), st.sampled_from(sorted(UNITS)))
def test_prefix_times_unit(value, prefix, unit):
    dimension, factor = UNITS[unit]
    assert parse(f"{value!r} {prefix}{unit}", dimension) == pytest.approx(value * PREFIXES[prefix] * factor, rel=1e-12)


@given(st.text(max_size=12), st.sampled_from(["energy", "number", "area"]))
def test_any_text_is_a_quantity_or_a_named_error(text, dimension):
    with contextlib.suppress(UsageError):
        assert math.isfinite(parse(text, dimension))
