"""The neuron model that every kernel and the simulator share."""

from __future__ import annotations

from dataclasses import dataclass

from tilewire.errors import UsageError


@dataclass(frozen=True)
class Lif:
    """Leaky integrate-and-fire neuron with soft reset.

    v[t] = leak v[t-1] + input[t] - threshold z[t-1],  z[t] = 1 if v[t] > threshold else 0; both start at 0.
    Training replaces dz/dv by 1 / (1 + slope |v - threshold|)^2 (Zenke and Ganguli, SuperSpike, 2018);
    ``reset_gradient`` says whether gradient also flows through the reset term.

    Symbols: ``leak`` = exp(-step / tau), dimensionless, 0..1; ``threshold`` > 0 and v in the same unit;
    ``slope`` >= 0 per that unit. Raises ``UsageError`` outside these ranges.
    """

    leak: float
    threshold: float = 1.0
    slope: float = 4.0
    reset_gradient: bool = True

    def __post_init__(self) -> None:
        """Refuse values outside the ranges (NaN included)."""
        if not 0.0 <= self.leak <= 1.0:
            raise UsageError(f"LIF leak is {self.leak}, limit 0..1", hint="leak = exp(-step / tau)")
        if not 0.0 < self.threshold < float("inf"):
            raise UsageError(f"LIF threshold is {self.threshold}, it must be positive and finite")
        if not 0.0 <= self.slope < float("inf"):
            raise UsageError(f"LIF surrogate slope is {self.slope}, it must be >= 0 and finite")
