"""Which implementation of an operator runs: a table of tiers, one choice per run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from tilewire.errors import UsageError, unknown

TIERS: dict[str, str] = {
    "numba": "tilewire.kernels.event_driven:rsnn_event_driven",
    "reference": "tilewire.kernels.reference:rsnn_reference",
}
"""Tier name -> ``module:function`` with the signature of ``rsnn`` less ``tier``; a new tier is one line."""


def choose(device: str) -> str:
    """Tier for a device type (``cpu``, ``cuda``, ...): the fastest that is at home there."""
    return "numba" if device == "cpu" and "numba" in TIERS else "reference"


def implementation(tier: str) -> Callable[..., Any]:
    """The function behind a tier name. Raises ``UsageError`` for a name the table does not hold."""
    if tier not in TIERS:
        raise UsageError(unknown("kernel tier", tier, TIERS), where="kernels")
    module, name = TIERS[tier].split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
