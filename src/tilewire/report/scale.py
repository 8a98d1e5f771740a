"""Numbers as text, round axis ticks, and the steps of the one sequential colour scale."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

SHADES = 9  # filled steps q1..q9 of the page's sequential scale; q0 is "none"
DARK = 5  # text on steps above it is set in the opposite ink
MISSING = "–"


def number(value: object) -> float | None:
    """A finite number, or None for anything else: the page says "–" rather than fail on a damaged field."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        return None
    return float(value)


def shown(value: object, digits: int = 4) -> str:
    """A figure for reading: thousands marked, ``digits`` significant, "–" for what is no number."""
    figure = number(value)
    if figure is None:
        return MISSING
    if figure == int(figure) and abs(figure) < 1e15:
        return f"{int(figure):,}".replace("-", "−")
    if 1e-3 <= abs(figure) < 1e6:
        decimals = max(digits - 1 - math.floor(math.log10(abs(figure))), 0)
        text = f"{figure:,.{decimals}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    return f"{figure:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")


def prefixed(value: object, unit: str, digits: int = 4) -> str:
    """A figure in a unit that takes prefixes: 3.619e-4, "s" -> "361.9 µs"."""
    figure = number(value)
    if figure is None:
        return MISSING
    step = 0 if figure == 0 else min(max(math.floor(math.log10(abs(figure)) / 3 + 1e-12), -5), 0)
    return f"{shown(figure / 1000.0**step, digits)} {('', 'm', 'µ', 'n', 'p', 'f')[-step]}{unit}"


def percent(value: object, decimals: int = 1) -> str:
    """A share in percent."""
    share = number(value)
    return MISSING if share is None else f"{100 * share:.{decimals}f} %".replace("-", "−")


def shade(share: float) -> int:
    """Step of the colour scale of a share: 0 for nothing at all, 1..SHADES for (0, 1]."""
    return 0 if share <= 0 else min(SHADES, 1 + int(share * SHADES * (1 - 1e-12)))


def ticks(low: float, high: float, wanted: int = 5, *, whole: bool = False) -> list[float]:
    """Round values that cover [low, high], about ``wanted`` of them; ``whole`` keeps them integers."""
    scale = max(abs(low), abs(high), 1e-12)
    if high - low < 1e-6 * scale:  # a level line stands in the middle
        low, high = low - 0.1 * scale, high + 0.1 * scale
    power = 10.0 ** math.floor(math.log10((high - low) / wanted))
    step = next(power * m for m in (1, 2, 5, 10) if (high - low) / (power * m) <= wanted)
    step = max(1.0, round(step)) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def finite(values: Sequence[float | None]) -> list[float]:
    """The numbers among values."""
    return [value for value in values if value is not None]
