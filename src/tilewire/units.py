"""Quantities in text at the edge ("3.2 pJ", "10 ms"), SI floats inside."""

from __future__ import annotations

import math
import re

from tilewire.errors import UsageError

PREFIXES = {
    "": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "c": 1e-2,
    "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
}  # fmt: skip
# Base symbol -> (dimension, factor to SI).
UNITS = {
    "J": ("energy", 1.0),
    "W": ("power", 1.0),
    "s": ("time", 1.0),
    "Hz": ("frequency", 1.0),
    "m": ("length", 1.0),
    "V": ("voltage", 1.0),
    "S": ("conductance", 1.0),
    "b": ("memory", 1.0),
    "B": ("memory", 8.0),
}
_QUANTITY = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s].*?)?\s*$")


def _unit(symbol: str, text: str) -> tuple[str, float]:
    square = symbol.endswith(("2", "²"))
    base = symbol[:-1] if square else symbol
    for name, (dimension, factor) in UNITS.items():
        prefix = base.removesuffix(name)
        if base.endswith(name) and prefix in PREFIXES:
            scale = PREFIXES[prefix] * factor
            if not square:
                return dimension, scale
            if dimension == "length":
                return "area", scale**2
    raise UsageError(
        f"'{symbol}' in '{text}' is not a unit", hint=f"a prefix and one of {', '.join(UNITS)}; areas as um2"
    )


def parse(text: str | float, dimension: str) -> float:
    """SI value of a quantity such as ``"3.2 pJ"``.

    ``dimension`` is one of energy [J], power [W], time [s], frequency [Hz], length [m], area [m^2], voltage [V],
    conductance [S], memory [bit], or "number" for a bare figure. Raises `UsageError` on a missing, unknown or
    mismatched unit and on figures that are not finite.
    """
    match = _QUANTITY.match(str(text))
    if not match:
        raise UsageError(f"'{text}' is not a quantity", hint=f"a number and a unit of {dimension}")
    value, symbol = float(match[1]), match[2] or ""
    if not math.isfinite(value):
        raise UsageError(f"'{text}' is not finite")
    if dimension == "number":
        if symbol:
            raise UsageError(f"'{text}' carries a unit where a bare number belongs")
        return value
    if not symbol:
        raise UsageError(f"'{text}' has no unit", hint=f"write the unit of {dimension} after the number")
    found, factor = _unit(symbol, str(text))
    if found != dimension:
        raise UsageError(f"'{text}' is of {found}, wanted {dimension}")
    if not math.isfinite(value * factor):
        raise UsageError(f"'{text}' is not finite in SI units")
    return value * factor
