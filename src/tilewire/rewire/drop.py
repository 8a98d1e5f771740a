"""Drop rules by name, as recipes ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tilewire.errors import UsageError, unknown
from tilewire.rewire.deepr import DeepR, SoftDeepR
from tilewire.rewire.magnitude import Rigl, SmallestNorm
from tilewire.rewire.rule import DropRule as DropRule
from tilewire.rewire.threshold import BranchThreshold as BranchThreshold


def _pick(options: dict[str, Any], *names: str) -> dict[str, Any]:
    """The options of these names that are given; None asks for the rule's own default."""
    return {name: options[name] for name in names if options.get(name) is not None}


def _set(threshold: float, min_live: float, **options: Any) -> DropRule:
    return SmallestNorm(**_pick(options, "share"))


def _rigl(threshold: float, min_live: float, **options: Any) -> DropRule:
    return Rigl(**_pick(options, "share", "horizon"))


def _deepr(threshold: float, min_live: float, **options: Any) -> DropRule:
    return DeepR(min_live=min_live, **_pick(options, "l1", "temperature"))


def _soft_deepr(threshold: float, min_live: float, **options: Any) -> DropRule:
    return SoftDeepR(min_live=min_live, **{"density": 0.8} | _pick(options, "density", "l1", "temperature"))


def _branch_threshold(threshold: float, min_live: float, **options: Any) -> DropRule:
    return BranchThreshold(threshold, min_live)


DROP_RULES: dict[str, Callable[..., DropRule]] = {
    "branch-threshold": _branch_threshold,
    "set": _set,
    "rigl": _rigl,
    "deepr": _deepr,
    "soft-deepr": _soft_deepr,
}
"""Rule name -> (threshold, min_live, **options) -> rule. A rule reads the options it knows: share, horizon, l1, temperature, density."""


def build_drop(rule: str, threshold: float, min_live: float, **options: Any) -> DropRule:
    """The drop rule of a name. Raises `UsageError` for a name that the table does not hold and for values out of range."""
    if rule not in DROP_RULES:
        raise UsageError(unknown("rewiring rule", rule, DROP_RULES))
    return DROP_RULES[rule](threshold, min_live, **options)
